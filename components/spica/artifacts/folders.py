"""A folder and the manifest that names its bytes: listing, hashing, verifying."""

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic import ValidationError

from spica.artifacts.manifest import Manifest
from spica.artifacts.names import MANIFEST_NAME, relative_name
from spica.artifacts.types import SCHEMA_VERSION, FileEntry
from spica.errors import Fault, IntegrityError

MAX_FAULTS_SHOWN = 20


def list_files(folder: Path) -> list[str]:
    """Return the relative posix names of all files below `folder`, sorted, the manifest left out.

    Raises:
        IntegrityError: a link, a device, or a name that no artifact may hold.
    """
    return sorted(name for name in _walk(folder, "") if name != MANIFEST_NAME)


def hash_files(folder: Path) -> tuple[FileEntry, ...]:
    """Return one entry per file below `folder`, in name order; files are streamed, several at a time."""
    return _hash_names(folder, list_files(folder))


def verify_folder(folder: Path, manifest: Manifest, where: str, remedy: str) -> None:
    """Read every byte below `folder` and compare it with the manifest.

    Args:
        folder: holds the files, and possibly the manifest itself.
        manifest: what must be there, no more and no less.
        where: what an error calls the folder.
        remedy: the next command for a reader whose artifact is damaged.

    Raises:
        IntegrityError: a file is missing, too many, truncated or altered; names each one, expected and found.
    """
    names = set(list_files(folder))
    faults = compare_names(names, manifest, where, remedy)
    expected = {entry.path: entry for entry in manifest.files}
    for found in _hash_names(folder, sorted(names & set(expected))):
        if found != expected[found.path]:
            faults.append(difference(f"{where}/{found.path}", expected[found.path], found, remedy))
    if faults:
        raise IntegrityError(*faults[:MAX_FAULTS_SHOWN])


def compare_names(names: Set[str], manifest: Manifest, where: str, remedy: str) -> list[Fault]:
    """Return a fault for every file that is missing or that the manifest does not name."""
    expected = {entry.path for entry in manifest.files}
    missing = [(name, "missing", "a file the manifest names") for name in sorted(expected - names)]
    unknown = [(name, "an extra file", "only files the manifest names") for name in sorted(names - expected)]
    return [Fault(f"{where}/{name}", found, allowed, remedy) for name, found, allowed in missing + unknown]


def difference(where: str, expected: FileEntry, found: FileEntry, remedy: str) -> Fault:
    """Describe a file whose bytes are not the ones in its manifest."""
    return Fault(
        where,
        f"{found.size} bytes, sha256 {found.sha256}",
        f"{expected.size} bytes, sha256 {expected.sha256}",
        remedy,
    )


def parse_manifest(content: bytes, where: str, remedy: str) -> Manifest:
    """Read a manifest as found in a store.

    Raises:
        IntegrityError: it is truncated, altered, of another schema, or names files outside its folder.
    """
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as error:
        reason = "; ".join(fault["msg"] for fault in error.errors(include_url=False, include_input=False)[:3])
        raise IntegrityError(Fault(where, f"no manifest: {reason}", "a whole manifest", remedy)) from error
    if manifest.schema_version != SCHEMA_VERSION:
        found = f"schema version {manifest.schema_version}"
        raise IntegrityError(Fault(where, found, f"schema version {SCHEMA_VERSION}", remedy))
    if (digest := manifest.payload_digest()) != manifest.digest:
        raise IntegrityError(
            Fault(where, f"payload digest {digest}", f"{manifest.digest}, as it says itself", remedy)
        )
    return manifest


def _walk(folder: Path, prefix: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            name = prefix + entry.name
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                yield from _walk(folder / entry.name, f"{name}/")
            elif stat.S_ISREG(mode):
                yield name if name == MANIFEST_NAME else _checked(name, folder)
            else:
                kind = "a link" if stat.S_ISLNK(mode) else "a device, pipe or socket"
                where = str(folder / entry.name)
                raise IntegrityError(
                    Fault(where, kind, "plain files only", f"replace it by a plain file: {where}")
                )


def _checked(name: str, folder: Path) -> str:
    try:
        return relative_name(name)
    except ValueError as error:
        raise IntegrityError(
            Fault(str(folder), str(error), "relative posix names", "rename the file")
        ) from error


def _hash_names(folder: Path, names: Sequence[str]) -> tuple[FileEntry, ...]:
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        return tuple(pool.map(lambda name: _hash_file(folder, name), names))


def _hash_file(folder: Path, name: str) -> FileEntry:
    with (folder / name).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return FileEntry(path=name, size=file.tell(), sha256=digest)

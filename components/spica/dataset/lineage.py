"""Where a rebuilt set comes from: the manifest that is written beside its files."""

import socket
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from spica.artifacts.code import module_digest
from spica.artifacts.folders import hash_files, parse_manifest, verify_folder
from spica.artifacts.manifest import Execution, Manifest, canonical_json, sha256_of
from spica.artifacts.names import MANIFEST_NAME
from spica.artifacts.types import Kind
from spica.dataset.drop import Dropped
from spica.errors import DataError, Fault

TASK = "drop"
_REMEDY = "give the folder of a whole artifact"


def source_digest(folder: Path) -> str:
    """The payload digest of the artifact in a folder, every byte of which is verified first.

    A folder without a manifest (a cached download) has SHA-256 over the list of its files, as `files` of its
    manifest in the store has it.

    Raises:
        DataError: No such folder.
        IntegrityError: A file is missing, too many or altered.
    """
    if not folder.is_dir():
        raise DataError(Fault(str(folder), "no such folder", "the folder of an artifact", _REMEDY))
    path = folder / MANIFEST_NAME
    if not path.is_file():
        return sha256_of(canonical_json([entry.model_dump() for entry in hash_files(folder)]))
    manifest = parse_manifest(path.read_bytes(), str(path), _REMEDY)
    verify_folder(folder, manifest, str(folder), _REMEDY)
    return manifest.digest


def write_manifest(
    out: Path,
    kind: Kind,
    dropped: Dropped,
    inputs: Mapping[str, str],
    metrics: Mapping[str, int],
    started: datetime,
    program: str,
) -> None:
    """Write manifest.json: what was dropped from what, and every byte of the result.

    Args:
        out: The rebuilt set.
        kind: What it holds.
        dropped: Names that went, by teacher, license, source.
        inputs: Input name -> `source_digest`.
        metrics: Counts.
        started: When the work began.
        program: Module that did the work; `code` is the digest of it and of what it imports.
    """
    slice = {"dropped": {key: sorted(names) for key, names in dropped.items()}}
    code = module_digest(program)
    key = sha256_of(canonical_json({"task": TASK, "slice": slice, "inputs": inputs, "code": code}))
    manifest = Manifest(
        kind=kind,
        task=TASK,
        key=key,
        slice=slice,
        inputs=dict(inputs),
        code=code,
        seed=None,
        files=hash_files(out),
        metrics=dict(metrics),
        digest="",
        execution=Execution(
            started=started.isoformat(timespec="milliseconds"),
            wall_s=round((datetime.now(UTC) - started).total_seconds(), 3),
            cpu_s=round(time.process_time(), 3),
            tokens=0,
            host=socket.gethostname(),
            version=version("spica"),
        ),
    )
    whole = manifest.model_copy(update={"digest": manifest.payload_digest()})
    (out / MANIFEST_NAME).write_text(whole.model_dump_json(indent=1), encoding="utf-8")

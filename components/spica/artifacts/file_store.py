"""Artifacts in a folder: written aside, forced to disk, renamed into place at once."""

import os
import shutil
from pathlib import Path

from spica.artifacts.disk import disk_faults, folder_aside, sync_folder
from spica.artifacts.folders import list_files, parse_manifest, verify_folder
from spica.artifacts.manifest import Manifest
from spica.artifacts.names import MANIFEST_NAME
from spica.artifacts.store import Store, artifact_name, settle
from spica.errors import Fault, IntegrityError


class FileStore(Store):
    """A folder, file://folder."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.uri = f"file://{self.root}"

    def find(self, task: str, key: str) -> Manifest | None:
        folder = self.root / artifact_name(task, key)
        try:
            content = (folder / MANIFEST_NAME).read_bytes()
        except FileNotFoundError:
            return None
        manifest = parse_manifest(content, str(folder / MANIFEST_NAME), _remedy(folder))
        if (manifest.task, manifest.key) != (task, key):
            found = f"task {manifest.task}, key {manifest.key}"
            raise IntegrityError(Fault(str(folder), found, f"task {task}, key {key}", _remedy(folder)))
        return manifest

    def verify(self, manifest: Manifest) -> None:
        self.fetch(manifest)

    def uri_of(self, manifest: Manifest) -> str:
        return f"{self.uri}/{artifact_name(manifest.task, manifest.key)}"

    def fetch(self, manifest: Manifest) -> Path:
        folder = self.root / artifact_name(manifest.task, manifest.key)
        if not folder.is_dir():
            raise IntegrityError(
                Fault(str(folder), "missing", "a published artifact", "run the recipe again")
            )
        verify_folder(folder, manifest, str(folder), _remedy(folder))
        return folder

    def publish(self, folder: Path, manifest: Manifest) -> Manifest:
        target = self.root / artifact_name(manifest.task, manifest.key)
        with disk_faults(target):
            aside = folder_aside(target)
            try:
                for name in list_files(folder):
                    _take(folder / name, aside / name)
                _write(aside / MANIFEST_NAME, manifest.model_dump_json(indent=1).encode())
                for inner, _, _ in os.walk(aside):
                    sync_folder(Path(inner))
                if self._rename(aside, target):
                    return manifest
            finally:
                shutil.rmtree(aside, ignore_errors=True)
        theirs = self.find(manifest.task, manifest.key)
        if theirs is None:
            found = f"a folder without {MANIFEST_NAME}"
            raise IntegrityError(Fault(str(target), found, "a whole artifact, or nothing", _remedy(target)))
        return settle(str(target), manifest, theirs)

    def shelf(self, task: str, key: str) -> None:
        return None

    @staticmethod
    def _rename(aside: Path, target: Path) -> bool:
        try:
            aside.rename(target)
        except OSError:
            # A folder that is not empty is never replaced: somebody else was first.
            if not target.is_dir():
                raise
            return False
        sync_folder(target.parent)
        return True


def _take(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.stat().st_nlink == 1:
        shutil.move(source, target)
    else:
        # Another name of the same file lies elsewhere: the artifact must not change with it.
        shutil.copyfile(source, target)
    target.chmod(0o444)
    descriptor = os.open(target, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _remedy(folder: Path) -> str:
    return f"remove it (`rm -r {folder}`) and run the recipe again: the task is done anew"

"""Scratch that survives the machine it was written on: journals and checkpoints of an unfinished attempt.

A pod's disk goes with the pod. What an attempt keeps is copied below the artifact's name in the bucket, and
the next attempt, on whatever node, begins with it.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from spica.artifacts.names import MANIFEST_NAME
from spica.artifacts.s3_prefix import S3Prefix
from spica.errors import SpicaError

SAVE_EVERY_S = 10.0

logger = logging.getLogger(__name__)


class Shelf:
    """The copy of one scratch folder; one process at a time writes it."""

    def __init__(self, prefix: S3Prefix) -> None:
        self._prefix = prefix
        self._saved: dict[str, tuple[int, int]] = {}
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """What is kept."""
        return sorted(self._prefix.sizes())

    def restore(self, folder: Path, wanted: Callable[[str], bool] = lambda name: True) -> list[str]:
        """Fetch what `folder` lacks, and return those names; files that are there already are newer.

        Raises:
            PrerequisiteError: the store cannot be reached.
        """
        names = [name for name in self._prefix.sizes() if wanted(name)]
        missing = [name for name in names if not (folder / name).exists()]
        self._prefix.download(folder, missing)
        self._saved |= {name: _stamp(folder / name) for name in missing}
        return missing

    def save(self, folder: Path) -> list[str]:
        """Copy what is new or has changed, drop what is gone; return the names copied.

        A folder of files becomes valid by its manifest, so manifests are copied after everything else, and
        are dropped first. Hidden files are not whole yet and stay where they are.

        Raises:
            PrerequisiteError: the store cannot be reached.
        """
        with self._lock:
            there = {name: _stamp(folder / name) for name in _visible(folder)}
            changed = [name for name, stamp in there.items() if self._saved.get(name) != stamp]
            for names in _manifests_last(changed):
                self._prefix.upload(folder, names)
            self._saved |= {name: there[name] for name in changed}
            gone = [name for name in self._saved if name not in there]
            for names in reversed(_manifests_last(gone)):
                self._prefix.delete(names)
            for name in gone:
                del self._saved[name]
            return changed

    def put(self, folder: Path, name: str) -> None:
        """Copy one file, whoever else writes here.

        Raises:
            PrerequisiteError: the store cannot be reached.
        """
        self._prefix.upload(folder, [name])

    def clear(self) -> None:
        """Delete the copy."""
        self._prefix.delete(self._prefix.sizes())

    @contextmanager
    def kept(self, folder: Path, every_s: float = SAVE_EVERY_S) -> Iterator[None]:
        """Copy `folder` every few seconds while the body runs, and once more when it ends, however it does."""
        ended = threading.Event()

        def copy() -> None:
            while not ended.wait(every_s):
                try:
                    self.save(folder)
                except (SpicaError, OSError) as error:
                    logger.warning("scratch is not copied, the next try is in %.0f s\n%s", every_s, error)

        copier = threading.Thread(target=copy, name="shelf", daemon=True)
        copier.start()
        try:
            yield
        finally:
            ended.set()
            copier.join()
            self.save(folder)


def _visible(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in name.parts):
            yield name.as_posix()


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _manifests_last(names: list[str]) -> tuple[list[str], list[str]]:
    is_manifest = [name.endswith(f"/{MANIFEST_NAME}") for name in names]
    return (
        [name for name, last in zip(names, is_manifest, strict=True) if not last],
        [name for name, last in zip(names, is_manifest, strict=True) if last],
    )

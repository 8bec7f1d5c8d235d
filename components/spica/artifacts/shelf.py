"""Scratch that survives the machine it was written on: journals and checkpoints of an unfinished attempt.

A pod's disk goes with the pod. What an attempt keeps is copied below the artifact's name in the bucket, and
the next attempt, on whatever node, begins with it. The machine of the one before it may still run, cut off
or late: whoever claimed the shelf last copies, the others stop by themselves.
"""

import logging
import os
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from spica.artifacts.names import MANIFEST_NAME

if TYPE_CHECKING:  # boto3 is slow to import, and a FileStore needs none
    from spica.artifacts.s3_prefix import S3Prefix

SAVE_EVERY_S = 10.0
HOLDER = ".holder"
"""Object that names who claimed the shelf last."""

logger = logging.getLogger(__name__)


class Shelf:
    """The copy of one scratch folder; who claimed it last copies."""

    def __init__(self, prefix: "S3Prefix") -> None:
        self._prefix = prefix
        self._saved: dict[str, tuple[int, int]] = {}
        self._lock = threading.Lock()
        self._claim: bytes | None = None
        self._is_lost = False

    def claim(self) -> None:
        """Become the one that copies here; whoever did before notices before its next write.

        Raises:
            PrerequisiteError: the store cannot be reached.
        """
        self._claim = uuid.uuid4().hex.encode()
        self._prefix.write(HOLDER, self._claim)

    def names(self) -> list[str]:
        """What is kept.

        Raises:
            PrerequisiteError: the store cannot be reached.
        """
        return sorted(name for name in self._prefix.sizes() if name != HOLDER)

    def restore(self, folder: Path, wanted: Callable[[str], bool] = lambda name: True) -> list[str]:
        """Fetch what `folder` lacks, and return those names; files that are there already are newer.

        Raises:
            PrerequisiteError: the store cannot be reached.
        """
        names = [name for name in self.names() if wanted(name)]
        missing = [name for name in names if not (folder / name).exists()]
        self._prefix.download(folder, missing)
        self._saved |= {name: _stamp(folder / name) for name in missing}
        return missing

    def save(self, folder: Path) -> list[str]:
        """Copy what is new or has changed, drop what is gone; return the names copied.

        A folder of files becomes valid by its manifest, so manifests are copied after everything else, and
        are dropped first. Hidden files are not whole yet and stay where they are. What others wrote is never
        dropped; once somebody else has claimed the shelf, nothing is copied or dropped any more.

        Raises:
            PrerequisiteError: the store cannot be reached.
        """
        with self._lock:
            there = _stamps(folder)
            files, manifests = _manifests_apart(
                name for name in there if self._saved.get(name) != there[name]
            )
            copied = self._prefix.upload_present(folder, files) if self._may_write(files) else []
            if len(copied) == len(files) and self._may_write(manifests):
                # A file that vanished meanwhile leaves its folder in parts: its manifest must not follow.
                copied += self._prefix.upload_present(folder, manifests)
            self._saved |= {name: there[name] for name in copied}
            files, manifests = _manifests_apart(name for name in self._saved if name not in there)
            for names in (manifests, files):
                if self._may_write(names):
                    self._prefix.delete(names)
                    for name in names:
                        del self._saved[name]
            return copied

    def _may_write(self, names: list[str]) -> bool:
        """Whether there is something to write, and nobody else has claimed the shelf."""
        if not names or self._is_lost:
            return False
        if self._claim is not None and self._prefix.read(HOLDER) != self._claim:
            self._is_lost = True
            logger.warning("%s: another machine goes on from here, this one copies no more", self._prefix.uri)
        return not self._is_lost

    def read(self, name: str) -> bytes | None:
        """One small file of what is kept; None where it is not.

        Raises:
            PrerequisiteError: the store cannot be reached.
        """
        return self._prefix.read(name)

    def write(self, name: str, content: bytes) -> None:
        """Keep one small file that is in no scratch folder; not once somebody else has claimed the shelf.

        Raises:
            PrerequisiteError: the store cannot be reached.
        """
        if self._may_write([name]):
            self._prefix.write(name, content)

    def drop(self, names: Iterable[str]) -> None:
        """Delete some of what is kept; not once somebody else has claimed the shelf.

        Raises:
            PrerequisiteError: the store cannot be reached.
        """
        dropped = list(names)
        if self._may_write(dropped):
            self._prefix.delete(dropped)

    def clear(self) -> None:
        """Delete the copy."""
        self._prefix.delete(self._prefix.sizes())

    @contextmanager
    def kept(self, folder: Path, every_s: float = SAVE_EVERY_S) -> Iterator[None]:
        """Copy `folder` every few seconds while the body runs, and once more when it ends in any way."""
        ended = threading.Event()

        def copy() -> None:
            while not ended.wait(every_s):
                self._try_to_save(folder)

        def end() -> None:
            ended.set()
            copier.join()

        copier = threading.Thread(target=copy, name="shelf", daemon=True)
        copier.start()
        try:
            yield
        except BaseException:
            end()
            # What ended the body is what the reader must see.
            self._try_to_save(folder)
            raise
        end()
        self.save(folder)

    def _try_to_save(self, folder: Path) -> None:
        try:
            self.save(folder)
        except Exception as error:
            # Whatever it was, the next copy may succeed, and the last one is told.
            logger.warning("scratch is not copied to the store\n%s: %s", type(error).__name__, error)


def _stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """Name -> stamp of every plain file that is not hidden, nor in a hidden folder."""
    found = {}
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for path in (Path(parent, name) for name in files if not name.startswith(".")):
            with suppress(FileNotFoundError):
                if path.is_file():
                    found[path.relative_to(folder).as_posix()] = _stamp(path)
    return found


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _manifests_apart(names: Iterable[str]) -> tuple[list[str], list[str]]:
    files: list[str] = []
    manifests: list[str] = []
    for name in sorted(names):
        (manifests if name.endswith(f"/{MANIFEST_NAME}") else files).append(name)
    return files, manifests

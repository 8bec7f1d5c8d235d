"""The journal: what a stage has finished so far, kept through kill -9; no request is paid for twice."""

import logging
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from pydantic import BaseModel

from spica.artifacts.disk import disk_faults, sync_folder
from spica.artifacts.rows import encode_row, parse_lines
from spica.artifacts.types import Quarantined

logger = logging.getLogger(__name__)

RowT = TypeVar("RowT", bound=BaseModel)


class Journal:
    """An append-only row file.

    Every appended row is handed to the kernel before `append` returns, so a killed process loses nothing; a
    power cut loses at most the rows since the last fsync, which happens every `max_unsynced` rows and at the
    first row later than `max_unsynced_s` seconds. A last line without newline is a torn write: it is cut off
    when the journal opens. One process at a time may hold a journal (a Workspace's lock sees to that).

        with Journal(out.scratch / "rollouts.jsonl") as journal:
            done = {(row.id, row.index) for row in journal.rows(Rollout)}
            journal.append(rollout)
    """

    quarantine: list[Quarantined]
    """Lines that the last call of `rows` could not read; they stay in the file."""

    def __init__(self, path: Path, *, max_unsynced: int = 64, max_unsynced_s: float = 1.0) -> None:
        """Open or create `path`.

        Raises:
            PrerequisiteError: the disk is full or not writable.
        """
        self.path = path
        self.quarantine = []
        self._max_unsynced = max_unsynced
        self._max_unsynced_s = max_unsynced_s
        self._num_unsynced = 0
        self._synced_at = time.monotonic()
        with disk_faults(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            self._size = self._drop_torn_line()
            sync_folder(path.parent)

    def rows(self, row_type: type[RowT]) -> list[RowT]:
        """Return all rows in order of appending; lines that are none go to `quarantine`, with a warning."""
        self.quarantine = []
        rows = list(parse_lines(self.path, row_type, self.quarantine))
        if self.quarantine:
            logger.warning(
                "%d journal lines cannot be read, the first: %s", len(self.quarantine), self.quarantine[0]
            )
        return rows

    def append(self, row: BaseModel) -> None:
        """Add one row.

        Raises:
            PrerequisiteError: the disk is full; the journal holds all earlier rows and no part of this one.
        """
        line = encode_row(row)
        with disk_faults(self.path):
            try:
                written = 0
                while written < len(line):
                    written += os.write(self._descriptor, line[written:])
            except OSError:
                os.ftruncate(self._descriptor, self._size)
                raise
            self._size += len(line)
            self._num_unsynced += 1
            late = time.monotonic() - self._synced_at >= self._max_unsynced_s
            if late or self._num_unsynced >= self._max_unsynced:
                self.sync()

    def sync(self) -> None:
        """Force everything appended so far onto the disk."""
        with disk_faults(self.path):
            os.fsync(self._descriptor)
        self._num_unsynced = 0
        self._synced_at = time.monotonic()

    def close(self) -> None:
        """Sync and close; closing twice is fine."""
        if self._descriptor >= 0:
            try:
                self.sync()
            finally:
                os.close(self._descriptor)
                self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _drop_torn_line(self) -> int:
        size = os.fstat(self._descriptor).st_size
        whole = _end_of_last_line(self._descriptor, size)
        if whole < size:
            logger.warning("%s: dropped a torn last line (%d bytes)", self.path, size - whole)
            os.ftruncate(self._descriptor, whole)
            os.fsync(self._descriptor)
        return whole


def _end_of_last_line(descriptor: int, size: int, block: int = 1 << 16) -> int:
    end = size
    while end > 0:
        start = max(0, end - block)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0

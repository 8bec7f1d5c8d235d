"""Locks between processes: the kernel drops them with their holder, and who waits learns who that is."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import ValidationError

from spica.artifacts.disk import atomic_file, disk_faults
from spica.artifacts.types import Row
from spica.errors import Fault, LockedError


class Holder(Row):
    """Who holds a lock."""

    pid: int
    host: str
    since: str
    """UTC, ISO 8601."""
    what: str
    """Run id, or task and key."""

    def __str__(self) -> str:
        return f"{self.what}, held by pid {self.pid} on {self.host} since {self.since}"


def read_holder(lock: Path) -> Holder | None:
    """Return who last took the lock, or None where nobody left a readable name."""
    try:
        return Holder.model_validate_json(lock.with_suffix(".json").read_bytes())
    except (OSError, ValidationError):
        return None


@contextmanager
def held(lock: Path, what: str) -> Iterator[None]:
    """Hold `lock` (a path ending in .lock) while the body runs.

    Raises:
        LockedError: another process, or another part of this one, holds it; says who.
    """
    with disk_faults(lock):
        lock.parent.mkdir(parents=True, exist_ok=True)
        flock = FileLock(lock, timeout=0)
        try:
            flock.acquire()
        except Timeout as error:
            raise _locked(lock, what) from error
    me = Holder(
        pid=os.getpid(),
        host=socket.gethostname(),
        since=datetime.now(UTC).isoformat(timespec="seconds"),
        what=what,
    )
    try:
        with atomic_file(lock.with_suffix(".json")) as file:
            file.write(me.model_dump_json().encode())
        yield
    finally:
        lock.with_suffix(".json").unlink(missing_ok=True)
        flock.release()


def _locked(lock: Path, what: str) -> LockedError:
    holder = read_holder(lock)
    found = str(holder) if holder else f"{what}, held by a process that has not yet left its name"
    stop = f"stop it (on {holder.host}: `kill {holder.pid}`)" if holder else "stop it"
    return LockedError(Fault(str(lock), found, "one process at a time", f"wait for it to end, or {stop}"))

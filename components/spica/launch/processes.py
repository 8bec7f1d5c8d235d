"""Processes as /proc shows them, and the records by which a later start finds what a dead one left behind.

A process is named by its pid *and* its start time: a recycled pid belongs to a stranger and is never touched.
"""

import ctypes
import json
import os
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_PR_SET_CHILD_SUBREAPER = 36


class Process(NamedTuple):
    """One process of this boot."""

    pid: int
    start: int
    """Start time in clock ticks since boot (field 22 of /proc/PID/stat)."""


class Record(NamedTuple):
    """What a guard keeps on disk about the tree it owns."""

    boot: str
    owner: Process
    processes: tuple[Process, ...]


class _Stat(NamedTuple):
    process: Process
    parent: int
    state: str


def boot_id() -> str:
    """Start times count from here, so records of another boot say nothing."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _stat(pid: int) -> _Stat | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    # The command name (field 2) may hold spaces and brackets: count from its last one.
    fields = text.rpartition(")")[2].split()
    return _Stat(Process(pid, int(fields[19])), int(fields[1]), fields[0])


def identify(pid: int) -> Process | None:
    """The process that has this pid now; None when there is none, or only a zombie."""
    stat = _stat(pid)
    return stat.process if stat and stat.state not in "ZX" else None


def is_alive(process: Process) -> bool:
    """Whether exactly this process still runs."""
    return identify(process.pid) == process


def descendants(pid: int) -> list[Process]:
    """All living processes below `pid`, in whatever session or group they put themselves."""
    children: dict[int, list[_Stat]] = {}
    for entry in os.listdir("/proc"):
        stat = _stat(int(entry)) if entry.isdecimal() else None
        if stat:
            children.setdefault(stat.parent, []).append(stat)
    found: list[Process] = []
    pending = [pid]
    while pending:
        for stat in children.get(pending.pop(), []):
            pending.append(stat.process.pid)
            if stat.state not in "ZX":
                found.append(stat.process)
    return found


def adopt_orphans() -> None:
    """Descendants whose parents die become children of this process, and so stay its descendants."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """SIGKILL for this process when its parent dies."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def kill(processes: Iterable[Process], number: int = signal.SIGKILL) -> int:
    """Send a signal to those that still are who they were; returns how many were hit."""
    hit = 0
    for process in processes:
        try:
            # The pidfd pins the process, so that the pid cannot change hands between the look and the signal.
            descriptor = os.pidfd_open(process.pid)
        except ProcessLookupError:
            continue
        try:
            if is_alive(process):
                signal.pidfd_send_signal(descriptor, number)
                hit += 1
        except ProcessLookupError:
            pass
        finally:
            os.close(descriptor)
    return hit


def write_record(path: Path, record: Record) -> None:
    """Replace the record atomically: a reader never sees half of one."""
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(record._asdict()))
    temporary.replace(path)


def read_record(path: Path) -> Record | None:
    """None when the file is gone or torn."""
    try:
        raw = json.loads(path.read_text())
        processes = tuple(Process(*entry) for entry in raw["processes"])
        return Record(raw["boot"], Process(*raw["owner"]), processes)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def reap(folder: Path) -> int:
    """Kill what dead owners left behind and drop their records; returns the number of processes killed.

    Records of living owners (another run on the same state folder) are left alone.
    """
    killed = 0
    for path in sorted(folder.glob("*.json")):
        record = read_record(path)
        if record and record.boot == boot_id():
            if is_alive(record.owner):
                continue
            alive = [process for process in record.processes if is_alive(process)]
            below = [found for process in alive for found in descendants(process.pid)]
            killed += kill({*alive, *below})
        path.unlink(missing_ok=True)
    return killed

"""Programs in the background, inside the cluster's network namespace: started, found and ended by pid."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from bed.layout import NETNS, STATE
from spica.errors import Fault, StageError

_STARTED: list[subprocess.Popen[bytes]] = []
"""Python warns of a process that lives on when nobody holds it."""


def inside(*command: str | Path) -> list[str]:
    """The command that runs `command` in the network namespace of the cluster."""
    return ["nsenter", f"--net=/run/netns/{NETNS}", *map(str, command)]


def start(name: str, *command: str | Path) -> bool:
    """Start `command` as `name`, its output in STATE/log/NAME.log; False if it runs already."""
    if alive(name):
        return False
    for folder in ("log", "pid"):
        (STATE / folder).mkdir(parents=True, exist_ok=True)
    with _log(name).open("ab") as log:
        process = subprocess.Popen(
            inside(*command),
            cwd=STATE,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    _STARTED.append(process)
    # The start time tells this process from a later one that was given the same pid.
    _pid_file(name).write_text(f"{process.pid} {_start_time(process.pid)}")
    return True


def alive(name: str) -> bool:
    """Whether the process started under `name` lives; a zombie does not."""
    return pid(name) is not None


def pid(name: str) -> int | None:
    """The pid of the live process started under `name`."""
    try:
        number, started = _pid_file(name).read_text().split()
    except (FileNotFoundError, ValueError):
        return None
    return int(number) if _start_time(int(number)) == started else None


def stop(name: str, *, patience_s: float = 10) -> None:
    """End the process started under `name`: SIGTERM, then SIGKILL when `patience_s` is over."""
    number = pid(name)
    if number is not None:
        send(number, signal.SIGTERM)
        limit = time.monotonic() + patience_s
        while alive(name):
            if time.monotonic() > limit:
                send(number, signal.SIGKILL)
            time.sleep(0.05)
    _pid_file(name).unlink(missing_ok=True)


def send(number: int, what: signal.Signals) -> None:
    """Send a signal; a process that is gone by now is no fault."""
    try:
        os.kill(number, what)
    except ProcessLookupError:
        return


def wait_until(what: str, ready: Callable[[], bool], *, limit_s: float = 60, log: str = "") -> None:
    """Ask every 0.2 s until `ready()`.

    Raises:
        StageError: it did not within `limit_s`; the message carries the last lines of the log named `log`.
    """
    limit = time.monotonic() + limit_s
    while not ready():
        if time.monotonic() > limit:
            tail = "\n".join(_log(log).read_text(errors="replace").splitlines()[-5:]) if log else "no answer"
            next_step = f"read {_log(log) if log else STATE / 'log'}, then make cluster-down and make cluster"
            raise StageError(Fault(what, tail, f"ready within {limit_s:.0f} s", next_step))
        time.sleep(0.2)


def answers(*command: str | Path) -> bool:
    """Whether the command exits 0; its output is dropped."""
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def _pid_file(name: str) -> Path:
    return STATE / "pid" / name


def _log(name: str) -> Path:
    return STATE / "log" / f"{name}.log"


def _start_time(number: int) -> str | None:
    """Clock ticks from boot to the start of a live process (field 22, proc(5)); None for a zombie."""
    try:
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else fields[19]

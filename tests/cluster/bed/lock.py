"""One cluster per machine: a lock that says who holds it."""

import contextlib
import datetime
import fcntl
import json
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from bed.layout import CACHE, STATE
from spica.errors import Fault, LockedError

FILE = Path("/run/lock/spica-cluster")


@contextlib.contextmanager
def operation() -> Iterator[None]:
    """Hold the machine's one cluster while it is started or stopped.

    Raises:
        LockedError: another process is at it, or the machine's cluster belongs to another cache folder.
    """
    FILE.parent.mkdir(parents=True, exist_ok=True)
    with FILE.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockedError(_busy()) from None
        holder = _holder()
        if holder and holder["state"] != str(STATE):
            cache = Path(holder["state"]).parent
            raise LockedError(_fault(f"SPICA_CACHE={shlex.quote(str(cache))} make cluster-down"))
        yield


def hold() -> None:
    """Write down that this command brought the cluster up."""
    since = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    command = shlex.join(["python", "-m", "bed", *sys.argv[1:]])
    FILE.write_text(
        json.dumps(
            {
                "pid": os.getpid(),
                "since": since,
                "command": command,
                "folder": os.getcwd(),
                "state": str(STATE),
            }
        )
    )


def release() -> None:
    """Write down that no cluster is there."""
    FILE.write_text("")


def held_by() -> str:
    """Who brought the cluster up, in one line; empty when there is none."""
    holder = _holder()
    if not holder:
        return ""
    return (
        f"held since {holder['since']} by `{holder['command']}` "
        f"(pid {holder['pid']}, in {holder['folder']}), state in {holder['state']}"
    )


def _holder() -> dict[str, str]:
    try:
        text = FILE.read_text()
    except FileNotFoundError:
        return {}
    return dict(json.loads(text)) if text.strip() else {}


def _busy() -> Fault:
    return _fault("wait for it, or end that process and then: make cluster-down")


def _fault(next_step: str) -> Fault:
    found = held_by() or "a start or stop is under way"
    return Fault("cluster", found, f"one cluster per machine, here with the cache {CACHE}", next_step)

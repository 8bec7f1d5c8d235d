"""SIGTERM: a rank that has trained nothing yet leaves at once, one that trains saves with all others first.

A thread of its own takes the signal: the main one may wait in C++ for its peers, or import for seconds, and
runs no Python handler meanwhile. Nothing heavy may be imported here.
"""

import json
import os
import signal
import socket
import threading
from pathlib import Path

PREEMPTED = 143
"""Exit code after SIGTERM (128 + 15): everything is saved."""

_requested = threading.Event()
_saves_first = threading.Event()


class Preempted(Exception):
    """SIGTERM reached a rank; all ranks have saved."""


def leave_on_sigterm() -> None:
    """From now on SIGTERM ends this rank at once.

    It says nothing about that but its exit code: torchrun sends SIGTERM too, when another rank has crashed.
    """
    wakes, woken = socket.socketpair()
    woken.setblocking(False)
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.set_wakeup_fd(woken.detach(), warn_on_full_buffer=False)

    def wait() -> None:
        while signal.SIGTERM not in wakes.recv(64):
            pass
        _requested.set()
        if not _saves_first.is_set():
            os._exit(PREEMPTED)

    threading.Thread(target=wait, name="sigterm", daemon=True).start()


def save_on_sigterm() -> None:
    """From now on SIGTERM is noted only: there are steps to be saved, by all ranks together."""
    _saves_first.set()


def is_requested() -> bool:
    """Whether SIGTERM has reached this rank."""
    return _requested.is_set()


def write_last(path: Path, value: object) -> None:
    """Write how a training ended, whole or not at all."""
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_text(json.dumps(value))
    os.replace(part, path)

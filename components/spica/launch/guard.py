"""A small process that stands between Spica and a heavy command, so that nothing outlives its parent.

    python -m spica.launch.guard --owner PID --record FILE -- command ...

The guard is the command's subreaper: processes that daemonize or start sessions of their own (vLLM's engine,
torchrun's workers) come back to it when their parents die. It ends with the command's exit code once all are
gone.

    owner dies (SIGKILL included)    everything below is killed at once
    SIGTERM                          passed on to the command; the guard goes on waiting
    SIGQUIT                          everything below is killed at once
    guard is killed                  the command gets SIGKILL; the rest is in FILE for `processes.reap`
"""

import argparse
import os
import select
import signal
import socket
import sys
from pathlib import Path

from spica.launch.processes import (
    Record,
    adopt_orphans,
    boot_id,
    descendants,
    die_with_parent,
    identify,
    kill,
    write_record,
)

_RECORD_EVERY_MS = 1000
_COMMAND_NOT_RUN = 127


def _start(command: list[str]) -> int:
    """Fork and exec `command` in a session of its own; it dies with the guard."""
    guard = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        die_with_parent()
        if os.getppid() == guard:
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            os.execvp(command[0], command)
    except OSError as error:
        os.write(2, f"cannot run {command[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(_COMMAND_NOT_RUN)


class _Guard:
    """Owns the tree of one command."""

    def __init__(self, owner: int, record: Path) -> None:
        self._path = record
        owner_process = identify(owner)
        if owner_process is None or os.getppid() != owner:
            sys.exit(_COMMAND_NOT_RUN)
        self._owner = owner_process
        self._owner_gone = os.pidfd_open(owner)
        self._signals: list[int] = []
        self._code: int | None = None
        self._recorded: Record | None = None
        wake, self._wake = socket.socketpair()
        self._sender = wake
        wake.setblocking(False)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGCHLD):
            signal.signal(number, lambda number, _: self._signals.append(number))
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def run(self, command: list[str]) -> int:
        """Exit code of the command (128 + signal when one ended it)."""
        adopt_orphans()
        pid = _start(command)
        poll = select.poll()
        poll.register(self._owner_gone, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        while self._code is None:
            self._record()
            ready = [descriptor for descriptor, _ in poll.poll(_RECORD_EVERY_MS)]
            if self._wake.fileno() in ready:
                self._wake.recv(4096)
            signals, self._signals = self._signals, []
            if self._owner_gone in ready or signal.SIGQUIT in signals:
                self._kill_all(pid)
                break
            if signal.SIGTERM in signals:
                os.kill(pid, signal.SIGTERM)
            self._collect(pid, os.WNOHANG)
        self._kill_all(pid)
        self._path.unlink(missing_ok=True)
        return _COMMAND_NOT_RUN if self._code is None else self._code

    def _record(self) -> None:
        processes = [identify(os.getpid()), *descendants(os.getpid())]
        record = Record(boot_id(), self._owner, tuple(sorted(process for process in processes if process)))
        if record != self._recorded:
            write_record(self._path, record)
            self._recorded = record

    def _collect(self, pid: int, flags: int) -> bool:
        """Reap the dead; False when no child is left at all."""
        try:
            while True:
                dead, status = os.waitpid(-1, flags)
                if dead == 0:
                    return True
                if dead == pid:
                    code = os.waitstatus_to_exitcode(status)
                    self._code = code if code >= 0 else 128 - code
        except ChildProcessError:
            return False

    def _kill_all(self, pid: int) -> None:
        """SIGKILL everything below, again and again, until not even a newly forked child is left."""
        while self._collect(pid, os.WNOHANG):
            if kill(descendants(os.getpid())) == 0:
                select.select([], [], [], 0.01)  # only the dying are left


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m spica.launch.guard")
    parser.add_argument("--owner", type=int, required=True)
    parser.add_argument("--record", type=Path, required=True)
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    sys.exit(_Guard(arguments.owner, arguments.record).run(arguments.command))


if __name__ == "__main__":
    main()

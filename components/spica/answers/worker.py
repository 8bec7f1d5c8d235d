"""Runs a named function in a child process that is killed at its deadline: algebra on hostile input.

The child starts at first need and stays; it is started anew after a kill. It speaks JSON lines over pipes,
holds at most MAX_BYTES of memory, may start no process, open no socket and write no file, and ends with its
parent.
"""

import atexit
import json
import os
import select
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

DEADLINE_S = 2.5
"""Longest time that one verdict may take: CPU time of the child, whatever else runs on the machine."""

MAX_WALL_S = 60.0
"""Longest wait for one that gets no CPU."""

MAX_BYTES = 512 * 1024 * 1024
"""Address space, and with it resident memory, of the child."""

_START_S = 300.0
"""To import algebra packages on a crowded machine."""

_KEPT_VARIABLES = ("PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "LANG", "LC_ALL")


class WorkerError(Exception):
    """The function gave no result."""


class WorkerTimeout(WorkerError, TimeoutError):
    """It took longer than its deadline; the child was killed."""


class WorkerMemory(WorkerError, MemoryError):
    """It asked for more memory than the child may hold."""


class WorkerDied(WorkerError):
    """The child ended within the call, as a parser does that runs out of stack."""


class WorkerRaised(WorkerError):
    """The function raised; the text is the exception's type and words."""


def call(function: str, *args: Json, deadline_s: float = DEADLINE_S) -> Json:
    """Result of `module:name` of `spica.answers` on `args`, computed in the child; both are JSON values.

    A module lists the functions that may be called in its tuple WORKER_FUNCTIONS. Safe to call from any
    thread and after a fork; calls of one process wait for each other.

    Raises:
        WorkerTimeout: not done within `deadline_s` of CPU time, importing the module not counted.
        WorkerMemory: more than MAX_BYTES asked for.
        WorkerDied: the child crashed.
        WorkerRaised: the function raised, or may not be called.
    """
    with _lock:
        return _child.call(function, args, deadline_s)


def pid() -> int | None:
    """Process id of the child, for measurements; None while there is none."""
    process = _child.process
    return None if process is None else process.pid


def stop() -> None:
    """End the child; the next call starts another. Done at the end of a process by itself."""
    with _lock:
        _child.stop()


class _Child:
    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self._loaded: set[str] = set()
        self._received = b""

    def call(self, function: str, args: Sequence[Json], deadline_s: float) -> Json:
        module = function.partition(":")[0]
        if self.process is not None and self.process.poll() is not None:
            self.stop()
        if self.process is None:
            self._start()
        if module not in self._loaded:
            self._ask(["load", module], _START_S)
            self._loaded.add(module)
        return self._ask(["call", function, list(args), deadline_s], MAX_WALL_S)

    def _start(self) -> None:
        kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "spica.answers.worker_child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            # Equal verdicts in every process: the order of sympy's sets follows the hash seed.
            env={**kept, "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"},
        )

    def _ask(self, request: list[Json], wall_s: float) -> Json:
        limit = time.monotonic() + wall_s
        try:
            self._send(json.dumps(request).encode() + b"\n", limit)
            reply = json.loads(self._receive(limit))
        except BaseException:  # also on Ctrl-C: the reply to come would answer the next question
            self.stop()
            raise
        if reply.get("last"):
            self.stop()
        if "memory" in reply:
            raise WorkerMemory(f"more than {MAX_BYTES // 2**20} MiB")
        if "raised" in reply:
            raise WorkerRaised(reply["raised"])
        result: Json = reply["result"]
        return result

    def _send(self, line: bytes, limit: float) -> None:
        assert self.process is not None and self.process.stdin is not None
        rest = memoryview(line)
        try:
            while rest:
                self._wait(self.process.stdin.fileno(), selectors.EVENT_WRITE, limit)
                # A pipe that select calls writable takes this much without blocking.
                rest = rest[os.write(self.process.stdin.fileno(), rest[: select.PIPE_BUF]) :]
        except BrokenPipeError:
            raise WorkerDied("the child had ended") from None

    def _receive(self, limit: float) -> bytes:
        assert self.process is not None and self.process.stdout is not None
        chunks = [self._received]
        while b"\n" not in chunks[-1]:
            self._wait(self.process.stdout.fileno(), selectors.EVENT_READ, limit)
            chunk = os.read(self.process.stdout.fileno(), 1 << 16)
            if not chunk and self.process.wait() == -signal.SIGPROF:
                raise WorkerTimeout("no result within the deadline")
            if not chunk:
                raise WorkerDied("the child ended within the call")
            chunks.append(chunk)
        line, _, self._received = b"".join(chunks).partition(b"\n")
        return line

    def _wait(self, fileno: int, event: int, limit: float) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(fileno, event)
            if not selector.select(max(0.0, limit - time.monotonic())):
                raise WorkerTimeout("no result in a minute")

    def stop(self) -> None:
        """Kill the child; nothing of it is left."""
        process = self._forget()
        if process is not None:
            process.kill()
            process.wait()

    def leave(self) -> None:
        """Forget the child of the process that this one was forked from."""
        process = self._forget()
        if process is not None:
            process.returncode = 0  # no child of this process, so nothing to wait for

    def _forget(self) -> subprocess.Popen[bytes] | None:
        process, self.process = self.process, None
        self._loaded, self._received = set(), b""
        if process is not None:
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
        return process


_child = _Child()
_lock = threading.Lock()


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()  # another thread may have held it
    _child.leave()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_child.stop)

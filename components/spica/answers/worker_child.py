"""The child of `spica.answers.worker`: reads one request per line, writes one reply per line.

Requests: ["load", MODULE] and ["call", "MODULE:FUNCTION", [ARG, ...], DEADLINE_S].
Replies: {"result": ...}, {"raised": "TYPE: words"} or {"memory": true}; "last": true before the child ends.
"""

import importlib
import json
import os
import resource
import signal
import sys
from collections.abc import Callable
from typing import IO, Any

from spica.answers.worker import MAX_BYTES, Json

_RECYCLE_BYTES = MAX_BYTES * 3 // 4
"""A child that has grown to this is replaced: caches of parsers and of sympy only grow."""

_FORBIDDEN = (
    *(
        "os.system",
        "os.exec",
        "os.fork",
        "os.posix_spawn",
        "os.spawn",
        "os.kill",
        "subprocess.",
        "pty.",
        "socket.",
    ),
    *(
        "os.remove",
        "os.rename",
        "os.rmdir",
        "os.mkdir",
        "os.truncate",
        "os.link",
        "os.symlink",
        "os.chmod",
        "shutil.",
    ),
)
"""Audit events (prefixes) that no computation on an answer has a use for."""

_computing = False


def main() -> None:
    """Serve until the parent closes the pipe."""
    requests, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb", buffering=0)
    # What parsers print would be taken for a reply, or would fill the parent's terminal.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    resource.setrlimit(resource.RLIMIT_AS, (MAX_BYTES, MAX_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.addaudithook(_guard)
    last = False
    while not last and (line := requests.readline()):
        reply = _reply(json.loads(line))
        last = reply.endswith(b'"last": true}')
        _write(replies, reply + b"\n")


def _write(replies: IO[bytes], reply: bytes) -> None:
    rest = memoryview(reply)
    while rest:
        rest = rest[replies.write(rest) :]


def _guard(event: str, args: tuple[Any, ...]) -> None:
    if not _computing:
        return
    writes = event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if writes or event.startswith(_FORBIDDEN):
        os._exit(70)  # an exception might be swallowed on the way


def _reply(request: list[Any]) -> bytes:
    global _computing
    reply: dict[str, Json]
    try:
        if request[0] == "load":
            importlib.import_module(_inside(request[1]))
            reply = {"result": None}
        else:
            _, name, args, deadline_s = request
            # The signal's default is death, which no computation puts off, be its parent alive or not.
            signal.setitimer(signal.ITIMER_PROF, deadline_s)
            sys.dont_write_bytecode = _computing = True
            reply = {"result": _function(name)(*args)}
        text = json.dumps(reply)
    except MemoryError:
        text = json.dumps({"memory": True, "last": True})
    except Exception as error:
        text = json.dumps({"raised": f"{type(error).__name__}: {error}"[:1000]})
    signal.setitimer(signal.ITIMER_PROF, 0)
    sys.dont_write_bytecode = _computing = False
    if request[0] == "call" and _resident_bytes() > _RECYCLE_BYTES and not text.endswith('"last": true}'):
        text = text[:-1] + ', "last": true}'
    return text.encode()


def _resident_bytes() -> int:
    # ru_maxrss would be the parent's: it is kept across fork and exec.
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def _inside(module: str) -> str:
    if not module.startswith("spica.answers."):
        raise PermissionError(f"{module} is no module of spica.answers")
    return module


def _function(name: str) -> Callable[..., Json]:
    module, _, attribute = name.partition(":")
    loaded = sys.modules[_inside(module)]
    if attribute not in getattr(loaded, "WORKER_FUNCTIONS", ()):
        raise PermissionError(f"{name} is not in WORKER_FUNCTIONS")
    function: Callable[..., Json] = getattr(loaded, attribute)
    return function


if __name__ == "__main__":
    main()

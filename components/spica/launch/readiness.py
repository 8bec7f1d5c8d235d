"""Whether a server can serve, and why one that died did."""

import json
import re
import socket
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from spica.errors import EndpointError, Fault, PrerequisiteError, SpicaError

_REQUEST_TIMEOUT_S = 120.0
_TAIL_LINES = 15
_TAIL_BYTES = 16_384
_MISSING_LIBRARY = re.compile(r"(lib[\w.+-]+\.so[.\d]*): cannot open shared object file")
_PORT_IN_USE = re.compile(r"address already in use", re.IGNORECASE)
# The last line of a traceback, behind the prefix that vLLM's log lines have. The first one is the cause;
# those after it come from processes that miss the one which failed.
_ERROR = re.compile(
    r"^(?:\(.*?\) ERROR .*?\] )?((?:[A-Za-z_]\w*\.)*\w*(?:Error|Exception): .+)$", re.MULTILINE
)
# Never through a proxy: the servers asked here are on the loopback interface.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Refusal(Exception):
    """The server did not answer, or answered with an error."""


def ask_once(url: str, prompt: str | None) -> str:
    """One real request to the OpenAI API at `url`; returns the name of the model that is served.

    A health page says only that the HTTP side is up, so a model server must generate one token for `prompt`.

    Raises:
        Refusal: no answer, or not the expected one.
    """
    try:
        model: str = _fetch(f"{url}/models", None)["data"][0]["id"]
        if prompt is not None:
            message = {"role": "user", "content": prompt}
            body = {"model": model, "messages": [message], "max_tokens": 1, "temperature": 0}
            _fetch(f"{url}/chat/completions", body)["choices"][0]["message"]
    except urllib.error.HTTPError as error:
        raise Refusal(f"HTTP {error.code}: {error.read(500).decode(errors='replace')}") from error
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise Refusal(str(error)) from error
    return model


def _fetch(url: str, body: object | None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with _opener.open(request, timeout=_REQUEST_TIMEOUT_S) as response:
        return json.load(response)


def accepts_connections(host: str, port: int) -> bool:
    """Whether something listens there."""
    try:
        socket.create_connection((host, port), timeout=5.0).close()
    except OSError:
        return False
    return True


def tail(logs: Path, start: int) -> str:
    """The last lines that were written from byte `start` on."""
    with logs.open("rb") as file:
        file.seek(max(start, logs.stat().st_size - _TAIL_BYTES))
        lines = file.read().decode(errors="replace").splitlines()
    return "\n".join(f"    {line}" for line in lines[-_TAIL_LINES:])


def cause_of_death(name: str, code: int, logs: Path, start: int) -> SpicaError:
    """The error that says why server `name` ended with exit code `code`."""
    where = f"server {name}"
    with logs.open(encoding="utf-8", errors="replace") as file:
        file.seek(start)
        text = file.read()
    if library := _MISSING_LIBRARY.search(text):
        found = f"{library[1]} is not installed"
        return PrerequisiteError(
            Fault(where, found, "the system packages that Spica lists", "make setup-system")
        )
    if _PORT_IN_USE.search(text):
        return PrerequisiteError(
            Fault(where, "its port was taken while it started", "a free port", "run the same command again")
        )
    cause = _ERROR.search(text)
    first = f" ({cause[1]:.300})" if cause else ""
    found = f"it ended with exit code {code}{first}; its last lines:\n{tail(logs, start)}"
    return EndpointError(Fault(where, found, "a server that stays up", f"read {logs}"))

"""The miniature's teacher: an OpenAI-compatible server that sees only the message and thinks aloud.

    python -m spica.miniature.teacher --port 8000 --wrong 0.15 --seed 1

Some answers are wrong, some look back at their steps; all of that depends on message, --seed and request seed
alone, so the same request gets the same answer. Faults come at chosen rates (--fault 429=0.02, drawn for each
try) or by the request header X-Spica-Fault:

    429    refused with Retry-After        503    refused without it
    cut    the stream ends in the middle   slow   --slow-s between two pieces
"""

import argparse
import asyncio
import hashlib
import hmac
import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from aiohttp import web

from spica.errors import Fault, PrerequisiteError, SpicaError
from spica.miniature.solve import Answer, Manner, answer, number_of

FaultName = Literal["429", "503", "cut", "slow"]

MODEL = "miniature-teacher"
FAULT_HEADER = "X-Spica-Fault"

_HOST = "127.0.0.1"
_MAX_REQUEST_BYTES = 16 << 20
_PIECE_TOKENS = 8
_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True)
class Service:
    """How the teacher is reached.

    Attributes:
        faults: Rate of each fault, per attempt.
        retry_after_s: What a 429 asks for.
        slow_s: Pause between two pieces of a slow stream.
        model: The only model name it answers to.
        api_key: Required bearer key; None for anyone.
    """

    faults: tuple[tuple[FaultName, float], ...] = ()
    retry_after_s: int = 1
    slow_s: float = 0.1
    model: str = MODEL
    api_key: str | None = field(default=None, repr=False)


class Teacher:
    """The HTTP side: /health, /v1/models, /v1/chat/completions."""

    def __init__(self, manner: Manner, service: Service) -> None:
        self._manner, self._service = manner, service
        self._attempts: Counter[int] = Counter()

    def app(self) -> web.Application:
        """The application to serve."""
        app = web.Application(client_max_size=_MAX_REQUEST_BYTES)
        app.router.add_get("/health", self._health)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._complete)
        return app

    async def _health(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _models(self, request: web.Request) -> web.Response:
        model = {"id": self._service.model, "object": "model", "owned_by": "spica"}
        return web.json_response({"object": "list", "data": [model]})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        if not self._may_ask(request):
            return _error(401, "invalid_api_key", "the bearer key is missing or wrong")
        raw = await request.read()
        try:
            body = json.loads(raw)
            if body.get("model") != self._service.model:
                return _error(404, "model_not_found", f"only {self._service.model} is served")
            seed, max_tokens = int(body.get("seed") or 0), int(body.get("max_tokens") or 4096)
            said = answer(body["messages"], self._manner, seed, max_tokens)
        except _UNREADABLE as error:
            return _error(400, "invalid_request_error", str(error)[:200])
        fault = request.headers.get(FAULT_HEADER) or self._draw_fault(raw)
        if fault == "429":
            headers = {"Retry-After": str(self._service.retry_after_s)}
            return _error(429, "rate_limit_exceeded", "too many requests", headers)
        if fault == "503":
            return _error(503, "service_unavailable", "no engine is free")
        if body.get("stream"):
            return await self._stream(request, said, fault)
        return web.json_response(_completion(self._service.model, said))

    def _may_ask(self, request: web.Request) -> bool:
        key = self._service.api_key
        given = request.headers.get("Authorization", "")
        return key is None or hmac.compare_digest(given.encode(), f"Bearer {key}".encode())

    def _draw_fault(self, raw: bytes) -> str | None:
        if not self._service.faults:
            return None
        request_number = number_of("fault", hashlib.sha256(raw).hexdigest(), self._manner.seed)
        self._attempts[request_number] += 1
        draw = number_of(request_number, self._attempts[request_number]) / 2**128
        for name, rate in self._service.faults:
            if draw < rate:
                return name
            draw -= rate
        return None

    async def _stream(self, request: web.Request, said: Answer, fault: str | None) -> web.StreamResponse:
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        events = _events(self._service.model, said)
        try:
            if fault == "cut":
                await stream.write(b"".join(events[: len(events) // 2])[:-3])
                if request.transport is not None:
                    request.transport.close()
                return stream
            if fault == "slow":
                for event in events:
                    await stream.write(event)
                    await asyncio.sleep(self._service.slow_s)
            else:
                await stream.write(b"".join(events))
            await stream.write_eof()
        except ConnectionError:
            pass  # Whoever asked has gone.
        return stream


def _events(model: str, said: Answer) -> list[bytes]:
    """The answer as server-sent events: pieces, finish_reason, usage, [DONE]."""
    frame = {"id": "chatcmpl-miniature", "object": "chat.completion.chunk", "created": 0, "model": model}
    pieces = [said.tokens[i : i + _PIECE_TOKENS] for i in range(0, len(said.tokens), _PIECE_TOKENS)]
    choices: list[dict[str, Any]] = [
        *({"delta": {"content": "".join(piece)}, "finish_reason": None} for piece in pieces),
        {"delta": {}, "finish_reason": said.finish_reason},
    ]
    chunks = [{**frame, "choices": [{"index": 0, **choice}]} for choice in choices]
    usage = {**frame, "choices": [], "usage": _usage(said)}
    return [*(f"data: {json.dumps(chunk)}\n\n".encode() for chunk in [*chunks, usage]), b"data: [DONE]\n\n"]


def _completion(model: str, said: Answer) -> dict[str, Any]:
    message = {"role": "assistant", "content": "".join(said.tokens)}
    return {
        "id": "chatcmpl-miniature",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": said.finish_reason}],
        "usage": _usage(said),
    }


def _usage(said: Answer) -> dict[str, int]:
    asked, answered = said.num_prompt_tokens, len(said.tokens)
    return {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}


def _error(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> web.Response:
    error = {"message": message, "type": code, "code": code, "param": None}
    return web.json_response({"error": error}, status=status, headers=headers)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serves until SIGTERM or Ctrl-C; exit code 3 when the port is taken or the key's variable is not set."""
    options = _parser().parse_args(arguments)
    try:
        service = Service(
            faults=tuple(options.fault),
            retry_after_s=options.retry_after_s,
            slow_s=options.slow_s,
            model=options.model,
            api_key=_api_key(options.api_key_env),
        )
        rates = {name: getattr(options, name) for name in ("wrong", "recheck", "no_box", "no_end", "empty")}
        teacher = Teacher(Manner(seed=options.seed, **rates), service)
        _serve(teacher.app(), options.port)
    except SpicaError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)


def _serve(app: web.Application, port: int) -> None:
    try:
        web.run_app(app, host=_HOST, port=port, print=None, access_log=None, shutdown_timeout=1.0)
    except OSError as error:
        raise PrerequisiteError(
            Fault(
                where=f"teacher, port {port}",
                found=error.strerror or str(error),
                allowed="a port that nothing else listens on",
                next="stop the other program (ss -ltnp shows it) or choose another --port",
            )
        ) from error


def _api_key(variable: str | None) -> str | None:
    if variable is None:
        return None
    if not (key := os.environ.get(variable)):
        raise PrerequisiteError(
            Fault(
                where="teacher, --api-key-env",
                found=f"${variable} is not set",
                allowed="a variable that holds the key",
                next=f"export {variable}=...",
            )
        )
    return key


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m spica.miniature.teacher", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    for name, default in (("wrong", 0.0), ("recheck", 0.4), ("no-box", 0.0), ("no-end", 0.0), ("empty", 0.0)):
        parser.add_argument(f"--{name}", type=_rate, default=default, help="rate, 0..1")
    parser.add_argument("--fault", type=_fault, action="append", default=[], metavar="429|503|cut|slow=RATE")
    parser.add_argument("--retry-after-s", type=int, default=1)
    parser.add_argument("--slow-s", type=float, default=0.1)
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--api-key-env", help="name of the variable that holds the key to demand")
    return parser


def _rate(text: str) -> float:
    rate = float(text)
    if not 0.0 <= rate <= 1.0:
        raise argparse.ArgumentTypeError(f"a rate lies in 0..1, found {text}")
    return rate


def _fault(text: str) -> tuple[str, float]:
    name, _, rate = text.partition("=")
    if name not in get_args(FaultName):
        raise argparse.ArgumentTypeError(f"a fault is one of {', '.join(get_args(FaultName))}, found {name}")
    return name, _rate(rate)


if __name__ == "__main__":
    main()

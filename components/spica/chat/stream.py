"""Reads one streamed answer (server-sent events) into a ChatResult."""

import json
from collections.abc import AsyncIterator
from typing import Any

from spica.chat.types import ChatResult

_BYTES_PER_TOKEN = 4096
_MIN_BYTES = 1 << 20


class StreamFault(Exception):
    """The stream was cut or holds no answer; asking again may help."""


async def read_stream(chunks: AsyncIterator[bytes], max_tokens: int) -> ChatResult:
    """Joins the pieces of one answer.

    Raises:
        StreamFault: The stream ended without a finish_reason, reports an error, is no JSON, or is far longer
            than `max_tokens` allow.
    """
    answer = _Answer()
    budget = _MIN_BYTES + _BYTES_PER_TOKEN * max_tokens
    rest = b""
    async for chunk in chunks:
        budget -= len(chunk)
        if budget < 0:
            raise StreamFault(f"more than {_BYTES_PER_TOKEN} bytes per token asked for")
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            answer.add(line)
    answer.add(rest)
    return answer.result()


class _Answer:
    """The pieces of one answer so far."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._finish_reason: str | None = None
        self._num_tokens: int | None = None
        self._done = False

    def add(self, line: bytes) -> None:
        """Takes one line of the stream; comments and other fields are passed over."""
        if not line.startswith(b"data:"):
            return
        data = line[5:].strip()
        if data == b"[DONE]":
            self._done = True
            return
        try:
            self._take(json.loads(data))
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError):
            raise StreamFault("an event that is no chat completion chunk") from None

    def _take(self, event: dict[str, Any]) -> None:
        if "error" in event:
            raise StreamFault("an error in the middle of the stream")
        for choice in event["choices"][:1]:
            delta = choice.get("delta") or {}
            if text := delta.get("content"):
                self._text.append(_string(text))
            if reasoning := delta.get("reasoning_content") or delta.get("reasoning"):
                self._reasoning.append(_string(reasoning))
            if reason := choice.get("finish_reason"):
                self._finish_reason = _string(reason)
        if usage := event.get("usage"):
            self._num_tokens = int(usage["completion_tokens"])

    def result(self) -> ChatResult:
        """The answer, once the stream is over."""
        if self._finish_reason is None:
            raise StreamFault("the stream ended without a finish_reason")
        if self._num_tokens is None and not self._done:
            raise StreamFault("the stream ended before the token usage")
        counted = self._num_tokens if self._num_tokens is not None else len(self._text) + len(self._reasoning)
        return ChatResult(_joined(self._text), self._finish_reason, counted, _joined(self._reasoning))


def _joined(pieces: list[str]) -> str:
    """Pieces as one text that UTF-8 can hold: surrogates from JSON escapes are paired or replaced."""
    return "".join(pieces).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value

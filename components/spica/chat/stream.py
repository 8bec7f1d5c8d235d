"""Reads one streamed answer (server-sent events) into a ChatResult."""

import json
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import msgspec

from spica.chat.types import CANCELLED, ChatResult

_BYTES_PER_TOKEN = 4096
_MIN_BYTES = 1 << 20


class StreamFault(Exception):
    """The stream was cut or holds no answer; asking again may help."""


class _Delta(msgspec.Struct, gc=False):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class _Choice(msgspec.Struct, gc=False):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Usage(msgspec.Struct, gc=False):
    completion_tokens: int | None = None


class _Event(msgspec.Struct, gc=False):
    """What is read of a chat completion chunk."""

    choices: list[_Choice] | msgspec.UnsetType = msgspec.UNSET
    usage: _Usage | None = None
    error: Any = msgspec.UNSET


_DECODER = msgspec.json.Decoder(list[_Event])


def _events(text: bytes) -> list[_Event]:
    try:
        return _DECODER.decode(text)
    except msgspec.DecodeError:  # half of a surrogate pair, perhaps, which only json takes
        return msgspec.convert(json.loads(text), list[_Event])


async def read_stream(
    chunks: AsyncIterator[bytes], max_tokens: int, is_hopeless: Callable[[int], bool] | None = None
) -> ChatResult:
    """Joins the pieces of one answer, up to its end or until it is hopeless.

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
        answer.add(lines)
        if is_hopeless and answer.num_counted is not None and is_hopeless(answer.num_counted):
            return answer.cancelled()
    answer.add([rest])
    return answer.result()


class _Answer:
    """The pieces of one answer so far."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._finish_reason: str | None = None
        self._num_tokens: int | None = None
        self._is_counted = False
        self._done = False

    def add(self, lines: Iterable[bytes]) -> None:
        """Takes lines of the stream; comments and other fields are passed over."""
        events = [line[5:] for line in lines if line.startswith(b"data:")]
        if events and events[-1].strip() == b"[DONE]":
            self._done = True
            events.pop()
        try:
            for event in _events(b"[%s]" % b",".join(events)):
                self._take(event)
        except (ValueError, RecursionError):
            raise StreamFault("an event that is no chat completion chunk") from None

    def _take(self, event: _Event) -> None:
        if event.error is not msgspec.UNSET:
            raise StreamFault("an error in the middle of the stream")
        if not isinstance(event.choices, list):
            raise ValueError
        for choice in event.choices[:1]:
            if delta := choice.delta:
                if delta.content:
                    self._text.append(delta.content)
                if reasoning := delta.reasoning_content or delta.reasoning:
                    self._reasoning.append(reasoning)
            if choice.finish_reason:
                self._finish_reason = choice.finish_reason
        if event.usage and event.usage.completion_tokens is not None:
            self._num_tokens = event.usage.completion_tokens
            self._is_counted = self._finish_reason is not None

    @property
    def num_counted(self) -> int | None:
        """Tokens so far, by the endpoint's count; None before the first count and after the last token."""
        return self._num_tokens if self._finish_reason is None else None

    def cancelled(self) -> ChatResult:
        """What came before nobody wanted more."""
        return ChatResult(_joined(self._text), CANCELLED, self._num_tokens or 0, _joined(self._reasoning))

    def result(self) -> ChatResult:
        """The answer, once the stream is over."""
        if self._finish_reason is None:
            raise StreamFault("the stream ended without a finish_reason")
        if not self._is_counted and not self._done:
            raise StreamFault("the stream ended before the token usage")
        counted = self._num_tokens or 0
        if not self._is_counted:  # a count from the middle says too little
            counted = max(counted, len(self._text) + len(self._reasoning))
        return ChatResult(_joined(self._text), self._finish_reason, counted, _joined(self._reasoning))


def _joined(pieces: list[str]) -> str:
    """Pieces as one text that UTF-8 can hold: surrogates from JSON escapes are paired or replaced."""
    return "".join(pieces).encode("utf-16", "surrogatepass").decode("utf-16", "replace")

from collections.abc import AsyncIterator

import pytest

from spica.chat.stream import StreamFault, read_stream
from spica.chat.types import ChatResult

PIECE = b'data: {"choices": [{"delta": {"content": "a\\u00e9"}, "finish_reason": null}]}\n\n'
STOP = b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n'
USAGE = b'data: {"choices": [], "usage": {"completion_tokens": 9}}\n\n'
DONE = b"data: [DONE]\n\n"


async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def read(*chunks: bytes, max_tokens: int = 10) -> ChatResult:
    return await read_stream(stream(*chunks), max_tokens)


async def test_pieces_join_wherever_the_network_cuts_them() -> None:
    whole = PIECE + PIECE + STOP + USAGE + DONE
    for size in (1, 7, 64, len(whole)):
        chunks = [whole[i : i + size] for i in range(0, len(whole), size)]
        assert await read(*chunks) == ChatResult("aéaé", "stop", 9)


async def test_comments_other_fields_and_carriage_returns_are_passed_over() -> None:
    assert await read(
        b": ping\r\n\r\nevent: x\r\n", PIECE.replace(b"\n", b"\r\n"), STOP, USAGE, DONE
    ) == ChatResult("aé", "stop", 9)


async def test_an_endpoint_without_usage_is_counted_by_pieces() -> None:
    assert (await read(PIECE, PIECE, STOP, DONE)).num_tokens == 2


async def test_a_usage_that_says_nothing_is_none() -> None:
    silent = PIECE.replace(b"]}\n", b'], "usage": {"prompt_tokens": 4}}\n')
    assert (await read(silent, PIECE, STOP, DONE)).num_tokens == 2


async def test_a_last_line_without_newline_still_counts() -> None:
    assert (await read(PIECE, STOP, USAGE.rstrip())).num_tokens == 9


async def test_surrogates_are_paired_across_pieces_or_replaced() -> None:
    def escaped(text: bytes) -> bytes:
        return PIECE.replace(b"a\\u00e9", text)

    result = await read(escaped(b"\\ud83d"), escaped(b"\\ude00"), escaped(b"\\udc00!"), STOP, DONE)
    assert result.text == "\U0001f600\ufffd!"


@pytest.mark.parametrize(
    ("chunks", "message"),
    [
        ((), "the stream ended without a finish_reason"),
        ((PIECE, DONE), "the stream ended without a finish_reason"),
        ((PIECE, STOP), "the stream ended before the token usage"),
        ((PIECE[:-20],), "an event that is no chat completion chunk"),
        ((b"data: []\n\n",), "an event that is no chat completion chunk"),
        ((b'data: {"id": 1}\n\n',), "an event that is no chat completion chunk"),
        (
            (b'data: {"choices": [{"delta": {"content": 7}}]}\n\n',),
            "an event that is no chat completion chunk",
        ),
        ((b"data: " + b"[" * 100_000 + b"\n\n",), "an event that is no chat completion chunk"),
        ((b'data: {"error": {"message": "engine died"}}\n\n',), "an error in the middle of the stream"),
        ((b"<html>busy</html>",), "the stream ended without a finish_reason"),
        ((b"x" * (2 << 20),), "more than 4096 bytes per token asked for"),
    ],
)
async def test_a_broken_stream_is_a_fault(chunks: tuple[bytes, ...], message: str) -> None:
    with pytest.raises(StreamFault, match=message):
        await read(*chunks)


def counted(num_tokens: int) -> bytes:
    return PIECE.replace(b"]}\n", b'], "usage": {"completion_tokens": %d}}\n' % num_tokens)


async def test_a_hopeless_answer_is_left_with_the_tokens_that_came() -> None:
    chunks = stream(counted(3), counted(5) + counted(6), counted(9), STOP, USAGE, DONE)

    result = await read_stream(chunks, 10, lambda num_tokens: num_tokens > 5)

    assert result == ChatResult("aéaéaé", "cancelled", 6)


async def test_an_answer_that_is_over_is_never_left() -> None:
    chunks = stream(counted(3), STOP, USAGE, DONE)

    assert await read_stream(chunks, 10, lambda num_tokens: num_tokens > 3) == ChatResult("aé", "stop", 9)


async def test_pieces_are_no_tokens_and_leave_nothing() -> None:
    chunks = stream(PIECE, PIECE, PIECE, STOP, USAGE, DONE)

    assert (await read_stream(chunks, 10, lambda num_tokens: True)).finish_reason == "stop"


async def test_a_count_from_the_middle_does_not_stand_for_the_last_one() -> None:
    with pytest.raises(StreamFault, match="before the token usage"):
        await read(counted(3), STOP)
    assert (await read(counted(1), PIECE, PIECE, STOP, DONE)).num_tokens == 3

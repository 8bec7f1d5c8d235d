"""What the miniature's teacher answers: it sees a message, text and picture bytes, and thinks aloud."""

import base64
import binascii
import hashlib
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np

from spica.miniature.pictures import read_picture
from spica.miniature.world import Entry, Problem, Scene, parse_prompt, respond, sample_slip

FinishReason = Literal["stop", "length"]

# About as the miniature's tokenizer cuts: markers with the blank lines around them, words, single symbols.
_TOKENS = re.compile(r"\s*<\|[a-z_]+\|>\s*|\\boxed\{|[A-Za-z]{2,}|\s+|.", re.DOTALL)
_IGNORANCE = "I can only answer questions about labels and values, such as c+h=?"


@dataclass(frozen=True)
class Manner:
    """How the teacher answers; rates lie in 0..1.

    Attributes:
        seed: Together with message and request seed it determines the answer.
        wrong: Rate of well-formed answers with a slip.
        recheck: Rate of thoughts that read some entries again.
        no_box: Rate of answers that say the result without a box.
        no_end: Rate of answers that break off as if they had reached max_tokens.
        empty: Rate of empty answers.
    """

    seed: int = 0
    wrong: float = 0.0
    recheck: float = 0.4
    no_box: float = 0.0
    no_end: float = 0.0
    empty: float = 0.0


class Answer(NamedTuple):
    """What the teacher says: its pieces in order, and why it stops."""

    tokens: tuple[str, ...]
    finish_reason: FinishReason
    num_prompt_tokens: int


def answer(messages: list[dict[str, Any]], manner: Manner, request_seed: int, max_tokens: int) -> Answer:
    """Answers the last user message.

    Raises:
        ValueError: The message is not in OpenAI format, or a picture cannot be read.
    """
    text, pictures = _read_user(messages)
    rng = np.random.default_rng(number_of("answer", messages, manner.seed, request_seed))
    try:
        problem = _problem(text, pictures)
    except LookupError:
        said = _IGNORANCE
    else:
        said = _respond(problem, manner, rng)
    draw = float(rng.random())
    tokens = () if draw < manner.empty else tuple(_TOKENS.findall(said))
    if manner.empty <= draw < manner.empty + manner.no_end:
        max_tokens = min(max_tokens, len(tokens) // 2)
    finish_reason: FinishReason = "stop" if len(tokens) <= max_tokens else "length"
    return Answer(tokens[:max_tokens], finish_reason, len(_TOKENS.findall(text)))


def _respond(problem: Problem, manner: Manner, rng: np.random.Generator) -> str:
    recheck = int(rng.integers(1, problem.num_steps + 1)) if rng.random() < manner.recheck else 0
    slips = rng.random() < manner.wrong and len(problem.options) != 1
    slip_at, slip_error = sample_slip(rng, problem) if slips else (None, 1)
    said = respond(problem, recheck, slip_at, slip_error)
    return re.sub(r"\\boxed\{(.*?)\}", r"\1", said) if rng.random() < manner.no_box else said


def _read_user(messages: list[dict[str, Any]]) -> tuple[str, list[str]]:
    """Text and picture URLs of the last user message."""
    try:
        content = [message["content"] for message in messages if message["role"] == "user"][-1]
        parts: list[Any] = [{"type": "text", "text": content}] if isinstance(content, str) else content
        text = "".join(part["text"] for part in parts if part["type"] == "text")
        return text, [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    except (LookupError, TypeError):
        raise ValueError("messages must hold a user message in OpenAI format") from None


def _problem(text: str, pictures: list[str]) -> Problem:
    """The problem that text and pictures pose.

    Raises:
        LookupError: They pose none of this world.
    """
    try:
        parsed = parse_prompt(text)
    except ValueError:
        raise LookupError from None
    entries = parsed.entries or (_read_data_url(pictures[0]) if pictures else ())
    try:
        return Problem(Scene(entries, "table"), parsed.terms, parsed.options)
    except ValueError:
        raise LookupError from None


@lru_cache(maxsize=16_384)
def _read_data_url(url: str) -> tuple[Entry, ...]:
    head, _, data = url.partition(",")
    if not head.startswith("data:image/") or not head.endswith(";base64"):
        raise ValueError("a picture must be a data URL in base64")
    try:
        return read_picture(base64.b64decode(data, validate=True))
    except (binascii.Error, OSError):
        raise ValueError("a picture cannot be decoded") from None


def number_of(*parts: Any) -> int:
    """A number in 0..2**128 that looks random and depends on the parts (JSON values) alone."""
    return int.from_bytes(hashlib.sha256(json.dumps(parts).encode()).digest()[:16])

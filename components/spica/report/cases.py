"""The case viewer's contents: the same question, answered by every arm, side by side.

Everything shown here comes from models and data sets, so all of it is hostile: it is cut to a size,
pictures are decoded and written anew, and the page escapes the text.
"""

import base64
import hashlib
import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from markupsafe import escape

from spica.answers import split_response
from spica.artifacts.types import PromptRow, Score
from spica.recipe.schema import Arm
from spica.report.outcomes import DEV, Outcomes, read_rows, thinker
from spica.report.tables import order_of

MAX_CASES = 120
MAX_BYTES = 1_900_000
"""Bytes of all cases together, as the page writes them, pictures included."""
MAX_THOUGHT = 1_600
MAX_TEXT = 700
MAX_PICTURES = 3
MAX_SIDE = 420
"""Pixels; a larger picture is shown smaller."""
MAX_SOURCE_PIXELS = 50_000_000
"""A picture that claims more is not decoded."""

_MARKUP_BYTES = 3_000


class Picture(NamedTuple):
    """A picture as data URL; `src` is empty when it could not be decoded."""

    src: str
    width: int
    height: int


class Response(NamedTuple):
    """What one arm answered, cut to size."""

    arm: Arm
    correct: bool
    extracted: str | None
    thought: str
    solution: str
    finish_reason: str
    num_tokens: int
    num_thought_tokens: int


class Case(NamedTuple):
    """One question with the responses of all arms."""

    item: PromptRow
    title: str
    """The line of the question that asks."""
    question: str
    gold: str
    pictures: tuple[Picture, ...]
    responses: tuple[Response, ...]


def choose(outcomes: Outcomes) -> list[str]:
    """Ids of the items worth showing, best spread first.

    Benchmarks take turns. Inside a benchmark, groups of equal number of steps and outcome (base, thinker)
    take turns; inside a group, and among groups, a hash decides, so that the choice is blind to all else.
    """
    base, told = outcomes.headline("base"), outcomes.headline(thinker(outcomes.arms))
    groups: dict[tuple[str, int | None, bool, bool], list[str]] = {}
    for item in outcomes.benchmarks.values():
        key = (item.source, item.num_steps, base[item.id].correct, told[item.id].correct)
        groups.setdefault(key, []).append(item.id)
    queues: dict[str, list[tuple[int, bytes, str]]] = {}
    for key, ids in groups.items():
        turns = enumerate(sorted(ids, key=_hash))
        queues.setdefault(key[0], []).extend((turn, _hash(repr(key)), id) for turn, id in turns)
    ranked = [
        (place, order_of(benchmark), id)
        for benchmark, queue in queues.items()
        for place, (_, _, id) in enumerate(sorted(queue))
    ]
    return [id for _, _, id in sorted(ranked)][:MAX_CASES]


def build_cases(outcomes: Outcomes, held_out: Path, scores: Mapping[Arm, Path]) -> list[Case]:
    """Read pictures and responses of the chosen items, as many as the page has room for.

    Args:
        outcomes: what the choice is made from.
        held_out: folder of the prompts artifact, for pictures.
        scores: folder of the scores artifact of every arm.
    """
    ids = choose(outcomes)
    wanted = set(ids)
    responses = {
        arm: _read_responses(arm, scores[arm], wanted, outcomes.headline_penalty) for arm in outcomes.arms
    }
    cases: list[Case] = []
    room = MAX_BYTES
    for id in ids:
        item = outcomes.benchmarks[id]
        pictures = tuple(read_picture(held_out / image.path) for image in item.images[:MAX_PICTURES])
        case = Case(
            item,
            _title(item),
            cut(item.question, MAX_TEXT),
            _gold(item),
            pictures,
            tuple(responses[arm][id] for arm in outcomes.arms),
        )
        room -= _size(case)
        if room < 0:
            break
        cases.append(case)
    return sorted(cases, key=lambda case: _order(case.item))


def read_picture(path: Path) -> Picture:
    """Decode a picture and write it anew, as PNG or far smaller JPEG, at most MAX_SIDE wide or high."""
    from PIL import Image

    try:
        with warnings.catch_warnings(), Image.open(path, formats=("PNG", "JPEG")) as opened:
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            if opened.width * opened.height > MAX_SOURCE_PIXELS:
                return Picture("", opened.width, opened.height)
            picture = opened.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return Picture("", 0, 0)
    picture.thumbnail((MAX_SIDE, MAX_SIDE))
    encoded = {kind: io.BytesIO() for kind in ("png", "jpeg")}
    picture.save(encoded["png"], "PNG", optimize=True)
    picture.save(encoded["jpeg"], "JPEG", quality=82)
    kind = "png" if encoded["png"].tell() < 2 * encoded["jpeg"].tell() else "jpeg"
    data = base64.b64encode(encoded[kind].getvalue()).decode()
    return Picture(f"data:image/{kind};base64,{data}", picture.width, picture.height)


def cut(text: str, length: int) -> str:
    """At most `length` characters: the beginning and the end, and between them how much is missing."""
    if len(text) <= length:
        return text
    half = length // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half:,} characters left out ...]\n{text[-half:]}"


def _read_responses(arm: Arm, folder: Path, wanted: set[str], penalty: float) -> dict[str, Response]:
    return {
        row.id: _response(arm, row)
        for row in read_rows(folder / "scores.jsonl", Score)
        if row.id in wanted and row.source != DEV and row.repetition_penalty == penalty
    }


def _response(arm: Arm, row: Score) -> Response:
    thought, solution = split_response(row.response)
    extracted = None if row.extracted is None else cut(row.extracted, 60)
    return Response(
        arm,
        row.correct,
        extracted,
        cut(thought, MAX_THOUGHT),
        cut(solution, MAX_TEXT),
        row.finish_reason,
        row.num_tokens,
        row.num_thought_tokens,
    )


def _title(item: PromptRow) -> str:
    lines = [line.strip() for line in item.question.splitlines() if line.strip()] or [item.id]
    return cut(next((line for line in lines if line.endswith("?")), lines[0]), 80)


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _gold(item: PromptRow) -> str:
    value, options = item.gold.value, item.gold.options
    position = "ABCDEFGHIJ".find(value) if item.gold.kind == "letter" and len(value) == 1 else -1
    return cut(f"{value} ({options[position]})" if 0 <= position < len(options) else value, 200)


def _size(case: Case) -> int:
    texts = [
        case.question,
        *(text for response in case.responses for text in (response.thought, response.solution)),
    ]
    written = sum(len(escape(text).encode()) for text in texts)
    return _MARKUP_BYTES + written + sum(len(picture.src) for picture in case.pictures)


def _order(item: PromptRow) -> tuple[tuple[int, str], int, str, str]:
    return (order_of(item.source), item.num_steps or 0, item.modality, item.id)

r"""MMMU as MMMU-Benchmark/MMMU scores it (mmmu/utils/eval_utils.py); Virgo's own program was never published.

A choice is read as (X), else as X between spaces, else by the text of an option; the last one named counts.
Where none is found the program draws a letter: its generator is seeded with 42 when the module is loaded
and is drawn from once per such row, in the order of the rows, so a verdict depends on the rows before it.
An open answer is right when any number or phrase after words such as "is" equals a gold, rounded to two
decimals, or has its text within.
"""

import random
import re
from collections.abc import Sequence
from typing import Final

from spica.answers.types import Scored, ScoreRow

SEED: Final = 42

_EDGES: Final = ",.!?;:'"
_KEYS: Final = ("could be ", "so ", "is ", "thus ", "therefore ", "final ", "answer ", "result ")
_TRIVIAL: Final = frozenset(":,.!?;'")
# Digits are taken as whole runs, from the first on; the published expressions do so at quadratic cost.
_NUMBERS: Final = (
    re.compile(r"-?\b\d{1,3}(?:,\d{3})+\b"),
    re.compile(r"-?(?<!\d)\d++(?:\.\d++)?[eE][+-]?\d++"),
    re.compile(r"-?(?:(?<!\d)\d++\.\d++|\.\d++|(?<!\d)\d++\b)(?![eE][+-]?\d)(?![,\d])"),
)
Item = str | float


def official(rows: Sequence[ScoreRow]) -> list[Scored]:
    """One verdict per row, in order; the order decides what is drawn for answers that name no choice."""
    draw = random.Random(SEED)
    return [_choice(row, draw) if row.options else _open(row) for row in rows]


def _choice(row: ScoreRow, draw: random.Random) -> Scored:
    options = {chr(ord("A") + index): value for index, value in enumerate(row.options)}
    letter = chosen(row.response, options)
    drawn = letter is None
    taken = draw.choice(list(options)) if letter is None else letter
    golds = (row.gold,) if isinstance(row.gold, str) else row.gold
    return Scored(
        id=row.id,
        correct=taken in golds,
        extracted=taken,
        method="random" if drawn else "letter",
        reason="the response names no choice; the program draws one" if drawn else "",
    )


def chosen(response: str, options: dict[str, str]) -> str | None:
    """The letter that the response names last, by the first of three ways that finds one."""
    text = response
    for edge in _EDGES:
        text = text.strip(edge)
    text = f" {text} "
    for form in ("({})", " {} "):
        named = {letter: text.rfind(form.format(letter)) for letter in options}
        if max(named.values()) >= 0:
            return max(named, key=lambda letter: named[letter])
    if len(text.split()) <= 5:
        return None
    lower = text.lower()
    named = {letter: lower.rfind(value.lower()) for letter, value in options.items()}
    return max(named, key=lambda letter: named[letter]) if max(named.values()) >= 0 else None


def _open(row: ScoreRow) -> Scored:
    golds = [
        item for gold in ((row.gold,) if isinstance(row.gold, str) else row.gold) for item in _normal(gold)
    ]
    phrases = _phrases(row.response)
    given = [*phrases, *(found for phrase in phrases for rule in _NUMBERS for found in rule.findall(phrase))]
    items = {item for text in set(given) for item in _normal(text)}
    texts = [gold for gold in golds if isinstance(gold, str)]
    correct = any(
        item in golds if isinstance(item, float) else any(text in item for text in texts) for item in items
    )
    return Scored(
        id=row.id,
        correct=correct,
        extracted="; ".join(phrases),
        method="phrases",
        reason="" if correct else "no phrase or number equals a gold",
    )


def _phrases(response: str) -> list[str]:
    """Per line what follows the last of the key words; all of it when no line has any."""
    text = response.strip().strip(".").lower()
    lines = text.split("\n")
    found = []
    for index, line in enumerate(lines):
        keys = (*_KEYS, "=") if index == len(lines) - 1 else _KEYS
        tails = [tail for key in keys if key in line for tail in [line.split(key)[-1].strip()]]
        shortest = ""
        for tail in tails:
            if not shortest or len(tail) < len(shortest):
                shortest = tail
        if shortest and shortest not in _TRIVIAL:
            found.append(shortest)
    return found or [text]


def _normal(text: str) -> list[Item]:
    """A number to two decimals, else lower-case text; one letter alone gets a space before or behind."""
    text = text.strip()
    try:
        return [round(float(text.replace(",", "")), 2)]
    except ValueError:
        pass
    text = text.lower()
    return [f" {text}", f"{text} "] if len(text) == 1 else [text]

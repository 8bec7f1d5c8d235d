"""Whether an answer means the same as the gold answer."""

import math
import re
from typing import NamedTuple

from spica.answers.extract import MAX_ANSWER_CHARS
from spica.answers.normalise import normalise, unit
from spica.artifacts.types import Gold

TOLERANCE = 1e-6
"""Numbers are equal within this, relative or absolute."""

_MAX_DIGITS = 40
_DECIMAL = r"(?:\d+\.?\d*|\.\d+)"
_NUMBER = re.compile(rf"({_DECIMAL})(?:e([+-]?\d{{1,3}}))?", re.IGNORECASE)
_POWER = re.compile(rf"({_DECIMAL})(?:\\times|\\cdot|\*)10\^\{{?([+-]?\d{{1,3}})\}}?")
_FRACTION = re.compile(rf"({_DECIMAL})/({_DECIMAL})")
_MIXED = re.compile(r"(\d+)\+(\d+)/(\d+)")
_LEFT_SIDE = re.compile(r"(?:\\?[A-Za-z][A-Za-z_0-9{}]{0,20}(?:\([A-Za-z]\))?\s*=\s*){1,4}")
_LETTER = re.compile(
    r"(?:the\s+)?(?:(?:option|answer|choice)\b\s*:?\s*)?(?:\(([A-Z])\)|([A-Z])(?![A-Za-z0-9+\-*/^=]))\s*(.*)",
    re.IGNORECASE | re.DOTALL,
)
_WORD = re.compile(r"(yes|true|no|false)\s*(?:[,.;:!].*)?", re.IGNORECASE | re.DOTALL)


class _Number(NamedTuple):
    value: float
    percent: bool


def equal(answer: str, gold: Gold) -> bool:
    """Compares an extracted answer with the gold one, both normalised alike.

    letter: the letter, or the value of its option; number: within TOLERANCE, a percent sign standing for the
    number or its hundredth; yes_no: also true and false; text: letter case, spaces and a leading "the" do not
    matter. Two different units never equal each other, nor are they converted; one alone does not matter.
    """
    if len(answer) > MAX_ANSWER_CHARS or _units_differ(answer, _right(gold)):
        return False
    given = normalise(answer)
    if gold.kind == "letter":
        return _same_choice(given, gold)
    if gold.kind == "yes_no":
        return _yes_no(given) == _yes_no(gold.value) is not None
    return _same_value(given, normalise(gold.value))


def _right(gold: Gold) -> str:
    """The gold answer as text: the option that a letter names, if it has any."""
    place = "ABCDEFGHIJKLMNOPQRSTUVWXYZ".find(gold.value.upper()) if gold.kind == "letter" else -1
    return gold.options[place] if 0 <= place < len(gold.options) else gold.value


def _units_differ(given: str, right: str) -> bool:
    first, second = unit(given), unit(right)
    return first is not None and second is not None and first != second


def _same_choice(given: str, gold: Gold) -> bool:
    right = gold.value.upper()
    options = dict(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", gold.options, strict=False))
    named = _LETTER.fullmatch(given)
    if named and not _is_option(given, gold):
        # A letter may be followed by its own option and by nothing else: "A or B" names none.
        letter, rest = (named[1] or named[2]).upper(), named[3].strip(" .:)")
        own = letter in options and _same_value(rest, normalise(options[letter]))
        return letter == right and (not rest or own)
    return right in options and _same_value(given, normalise(options[right]))


def _is_option(given: str, gold: Gold) -> bool:
    """Whether all of it is an option: "a square" starts like a letter; a lone letter is always one."""
    return len(given) > 1 and any(_same_text(given, normalise(option)) for option in gold.options)


def _same_value(given: str, right: str) -> bool:
    first, second = _number(given), _number(right)
    if first is None or second is None:
        return bool(given) and _same_text(given, right)
    return any(_close(a, b) for a in _readings(first, second) for b in _readings(second, first))


def _same_text(given: str, right: str) -> bool:
    return _plain(given) == _plain(right)


def _plain(text: str) -> str:
    return re.sub(r"\s", "", re.sub(r"^the\s", "", text.casefold()))


def _readings(number: _Number, other: _Number) -> tuple[float, ...]:
    """Its values; a percentage also stands for its hundredth where the other side has no percent sign."""
    return (number.value, number.value / 100) if number.percent and not other.percent else (number.value,)


def _close(given: float, right: float) -> bool:
    # An absolute tolerance would take zero for any tiny physical constant (protocol D1).
    absolute = 0.0 if 0.0 < abs(right) < 1e-3 else TOLERANCE
    return math.isclose(given, right, rel_tol=TOLERANCE, abs_tol=absolute)


def _yes_no(text: str) -> str | None:
    word = _WORD.fullmatch(text)
    return None if word is None else {"true": "yes", "false": "no"}.get(word[1].lower(), word[1].lower())


def _number(text: str) -> _Number | None:
    """Reads a decimal, fraction, mixed number or power of ten, with left-hand side, sign and percent sign."""
    left = _LEFT_SIDE.match(text)
    compact = "".join(text[left.end() if left else 0 :].split())
    percent = compact.endswith("%")
    compact = compact.removesuffix("%")
    sign = -1.0 if compact.startswith("-") else 1.0
    value = _magnitude(compact[1:] if compact[:1] in ("+", "-") else compact)
    return None if value is None or not math.isfinite(value) else _Number(sign * value, percent)


def _magnitude(text: str) -> float | None:
    if len(text) > _MAX_DIGITS:
        return None
    if match := _NUMBER.fullmatch(text) or _POWER.fullmatch(text):
        return float(f"{match[1]}e{match[2] or 0}")
    if match := _FRACTION.fullmatch(text):
        return float(match[1]) / float(match[2]) if float(match[2]) else None
    if match := _MIXED.fullmatch(text):
        return int(match[1]) + int(match[2]) / int(match[3]) if int(match[3]) else None
    return None

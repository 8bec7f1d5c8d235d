"""Answers to questions with options: the letter, the option's value, or both."""

import re
from collections.abc import Callable

from spica.answers.normalise import normalise
from spica.answers.words import same_text
from spica.artifacts.types import Gold

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

_LETTER = re.compile(
    r"(?:the\s+)?(?:(?:correct\s+|final\s+|right\s+)?(?:option|answer|choice|ans)\b\s*(?:is\b)?\s*[:=]?\s*)*"
    r"(?:\(([A-Z])\)|\[([A-Z])\]|([A-Z])(?![A-Za-z0-9+\-*/^=]))\s*(.*)",
    re.IGNORECASE | re.DOTALL,
)
_MARKS = " .:)*,-=\uff1a\u3001\uff0e"

Same = Callable[[str, str], bool]


def same_choice(answer: str, gold: Gold, same: Same) -> bool:
    """Whether an answer names the right letter, or its option's value by `same`.

    A letter may be followed by its own option and by nothing else: "A or B" names none.
    """
    right = gold.value.strip().strip("().").upper()
    options = dict(zip(LETTERS, gold.options, strict=False))
    given = normalise(answer, units=False).strip()
    named = _LETTER.fullmatch(given)
    if named and not _is_option(given, gold):
        letter, rest = (named[1] or named[2] or named[3]).upper(), named[4].strip(_MARKS)
        if not rest:
            return letter == right
        own = letter in options and (same_text(rest, options[letter]) or same(rest, options[letter]))
        return letter == right and own
    return right in options and _names_value(answer, right, options, same)


_STATED = re.compile(
    r"(?:answer|option|choice|\u7b54\u6848|\u9009|\u9009\u9879)\W*"
    r"(?:is|should be|would be|must be|are|:|\u662f|\u4e3a)?\W*(?:option\W*|choice\W*)?"
    r"(?:\(([A-J])\)|\b([A-J])\b(?!\s*(?:and|or)\b))",
    re.IGNORECASE,
)
_LEADING = re.compile(
    r"[\s*$\\]*(?:\(([A-J])\)|([A-J]))(?:\s*[.:)\uff1a\u3001*]|\s+because\b|\s+is\s+(?:right|correct)\b|\s*$|\s*\n)"
)
_ENDING = re.compile(r"(?:^|[\s:*(\"'$])\**\(?([A-J])\)?[.*\s\"')$]*$")
_SEVERAL = re.compile(r"(?<![A-Za-z])\(?[A-J]\)?\s*(?:,|/|or\b|and\b)\s*\(?[A-J]\)?[.\s*]*$")
_BRACKETED = re.compile(
    r"(?<!not )\(([A-Ja-j])\)(?!\s*(?:is|are|was)\s+(?:wrong|incorrect|false|not|ruled|out|too|impossible))"
)
_LONE = re.compile(
    r"(?<![A-Za-z\d\\])(?<!not )(?<!Not )(?<!than )"
    r"(?:A(?!\s+(?!it\b|is\s+(?:right|correct))[a-z])|I(?=\s*[.)]|\s*$)|[B-HJ])(?![A-Za-z\d'])"
    r"(?!\s*(?:is|are)\s+(?:wrong|incorrect|false|not|too))"
)
_DENIED = re.compile(
    r"(?:\b(?:not|cannot|than|except|instead\s+of)|n't)[ \t]+(?:be\s+)?(?:(?:the|an?)\s+)?"
    r"(?:(?:answer|option|choice)\s+)?[\s*(\"'$\\]*$",
    re.IGNORECASE,
)
"""What stands before a letter that is not meant."""
_TAIL_CHARS = 4000


def chosen_letter(response: str, gold: Gold) -> str | None:
    """The option that a response without a box settles on; None when it names none, or several alike.

    In this order: "the answer is X"; a letter in front; one at the end; the last bracketed letter that is not
    called wrong; the one letter that stands alone; the one option whose value the last line holds.
    """
    text = response.strip()[-_TAIL_CHARS:]
    if _SEVERAL.search(text[-40:]):
        return None
    stated = [match[1] or match[2] for match in _STATED.finditer(text) if not _is_denied(text, match.start())]
    stated = [letter for letter in stated if letter != "a"]  # "the answer is a square"
    if stated:
        return stated[-1].upper()
    leading = _LEADING.match(text)
    if leading:
        return leading[1] or leading[2]
    ending = _ENDING.search(text, max(0, len(text) - 20))
    if ending and not _is_denied(text, ending.start(1)):
        return ending[1]
    bracketed = [match[1] for match in _BRACKETED.finditer(text) if not _is_denied(text, match.start())]
    if bracketed:
        return bracketed[-1].upper()
    lone = {match[0] for match in _LONE.finditer(text) if not _is_denied(text, match.start())}
    if len(lone) == 1:
        return lone.pop()
    return _named_value(text, gold)


def _is_denied(text: str, at: int) -> bool:
    """Whether "not" or the like stands before what begins there."""
    return _DENIED.search(text[max(0, at - 40) : at]) is not None


def _named_value(text: str, gold: Gold) -> str | None:
    """The value of the one option that the last line names."""
    last = text.splitlines()[-1] if text else ""
    if len(last) <= 200 and any(same_text(last, option) for option in gold.options):
        return last
    named = [option for option in gold.options if option.strip() and _holds(last, option)]
    longest = max(named, key=len, default="")
    return longest if longest and all(option in longest for option in named) else None


def _holds(text: str, option: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(option.strip())}(?!\w)", text, re.IGNORECASE) is not None


def _names_value(answer: str, right: str, options: dict[str, str], same: Same) -> bool:
    """Whether the right option's value is given, and no other option is written just like it."""
    if not same(answer, options[right]):
        return False
    return same_text(answer, options[right]) or not any(
        letter != right and same_text(answer, option) for letter, option in options.items()
    )


def _is_option(given: str, gold: Gold) -> bool:
    """Whether all of it is an option: "a square" starts like a letter; a lone letter is always one."""
    return len(given) > 1 and any(same_text(given, option) for option in gold.options)

"""Answers in words: names, yes and no, numbers spelt out."""

import re

from spica.answers.normalise import normalise

_WORD = re.compile(
    r"(yes|true|no|false|correct|incorrect|\u662f|\u5426|\u5bf9|\u9519)\s*(?:[,.;:!].*)?",
    re.IGNORECASE | re.DOTALL,
)
_SYNONYMS = {
    **{"true": "yes", "correct": "yes", "\u662f": "yes", "\u5bf9": "yes"},
    **{"false": "no", "incorrect": "no", "\u5426": "no", "\u9519": "no"},
}
_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty"
).split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_SPELT = {
    **{word: number for number, word in enumerate(_SMALL)},
    **{word: 10 * number for number, word in enumerate(_TENS, 2)},
    **{
        f"{ten}-{_SMALL[one]}": 10 * number + one
        for number, ten in enumerate(_TENS, 2)
        for one in range(1, 10)
    },
}
_POWERS = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_SCALED = re.compile(rf"^(\S{{1,24}})\s+({'|'.join(_POWERS)})\b", re.IGNORECASE)
_PUNCTUATION = re.compile(r"[\s.,;:!?\"'`\u201c\u201d\u3002\uff0c\uff1b\uff1a\uff01\uff1f\u3001{}$\\*_-]+")


def plain(text: str) -> str:
    """Case, spaces, punctuation, articles gone."""
    found = _PUNCTUATION.sub("", re.sub(r"^(?:the|an?)\s", "", normalise(text).casefold()))
    return found[1] if len(found) == 3 and found[0] + found[2] == "()" else found


def same_text(given: str, right: str) -> bool:
    """Whether two answers are the same words; nothing never equals nothing."""
    first = plain(given)
    return bool(first) and first == plain(right)


def yes_no(text: str) -> str | None:
    """Yes or no in a word, whatever follows it behind a comma."""
    word = _WORD.fullmatch(text.strip())
    return None if word is None else _SYNONYMS.get(word[1].lower(), word[1].lower())


def numeral(text: str) -> str:
    """`five` as `5`, `7.243 million` as `7.243*10^6`; other text as it is."""
    first, _, scale = text.lower().partition(" ")
    if first in _SPELT and (not scale or scale in _POWERS):
        text = f"{_SPELT[first]} {scale}".strip()
    return _SCALED.sub(lambda match: f"{match[1]}*10^{_POWERS[match[2].lower()]}", text)

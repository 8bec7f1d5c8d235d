r"""Official answers to typed golds.

"The answer is B", "(B) 7", "B. 7", "B."    letter B
"7" with options 3, 7, 0, 5                 letter B
"7", "The answer is 7.", "1,000", "45°"     number 7, 7, 1000, 45
"Since a || b, ... Answer: C"               letter C: of a worked answer, what it ends with
"60%", "1/2", "-3.5"                        number as written
"Yes."                                      yes_no yes
"$\frac{1}{2}$", "Red"                      text \frac{1}{2} (LaTeX keeps its case), red
"""

import re
from collections.abc import Sequence

from spica.artifacts.types import GOLD_UNPARSED, Gold
from spica.sources.draft import BadRowError
from spica.sources.wording import LETTERS

_LEAD = re.compile(
    r"(?:so |thus |therefore,? )?(?:the )?(?:correct |final )?(?:answer|option|choice)(?: is|:)[: ]*", re.I
)
_LAST_WORD = re.compile(r"(?:^|[.\s])(?:final )?answer(?: is|:)[: ]*([^\n]{1,100})\Z", re.I)
_LETTER = re.compile(r"\(?([A-J])\)?")
_LETTER_AND_TEXT = re.compile(r"(?:\(([A-J])\)|([A-J])[.:)])\s*(.+)", re.DOTALL)
_LENGTH = r"(?:[mck]?m|in|ft|inch(?:es)?|feet|units?|meters?|dollars?)(?:\^?[23²³])?"
_UNIT = rf"(?:°|\^\\circ|\^\{{\\circ\}}|degrees?|{_LENGTH})"
_NUMBER = re.compile(
    rf"\$?([+-]?(?:\d{{1,3}}(?:,\d{{3}})+|\d+)?(?:\.\d+)?(?:/\d+)?)(\s*%)?(?:\s*{_UNIT})?", re.I
)
_MAX_LENGTH = 500


def parse_gold(answer: str, options: Sequence[str] = ()) -> Gold:
    """Types an official answer.

    Raises:
        BadRowError: It is empty or overlong, or there are options and it is none of them.
    """
    ends_with = _LAST_WORD.search(answer.strip())
    try:
        gold = _typed(answer, options)
    except BadRowError:
        if not ends_with:
            raise
    else:
        if gold.kind != "text" or not ends_with:
            return gold
    return _typed(ends_with[1], options)


def keep_gold(answer: str, options: Sequence[str] = ()) -> tuple[Gold, dict[str, str]]:
    """A typed answer, or the answer as it stands and the reason, for the row's meta.

    For rows that count whatever their answer looks like; `gold_unparsed` in the meta says that nothing can be
    judged against it.
    """
    try:
        return parse_gold(answer, options), {}
    except BadRowError as error:
        return Gold(kind="text", value=answer.strip()[:_MAX_LENGTH]), {GOLD_UNPARSED: str(error)}


def _typed(answer: str, options: Sequence[str]) -> Gold:
    text = _LEAD.sub("", answer.strip(), count=1) if _LEAD.match(answer.strip()) else answer.strip()
    text = text.removesuffix(".").strip()
    if len(text) > 2 and text[0] == text[-1] == "$":
        text = text[1:-1].strip()
    if not text or len(text) > _MAX_LENGTH:
        raise BadRowError(f"answer: 1 to {_MAX_LENGTH} characters are needed, found {answer!r:.80}")
    if options:
        return Gold(kind="letter", value=_letter(text, options), options=tuple(options))
    if text.lower() in ("yes", "no"):
        return Gold(kind="yes_no", value=text.lower())
    number = _NUMBER.fullmatch(text)
    if number and any(char.isdigit() for char in number[1]):
        return Gold(
            kind="number", value=number[1].replace(",", "").removeprefix("+") + (number[2] or "").strip()
        )
    if _LETTER.fullmatch(text):
        return Gold(kind="letter", value=text.strip("()"))
    return Gold(kind="text", value=text if "\\" in text else text.lower())


def _letter(text: str, options: Sequence[str]) -> str:
    """The letter of the option that the answer names by letter, by value, or by both."""
    letters = LETTERS[: len(options)]
    by_value = [
        letter for letter, value in zip(letters, options, strict=True) if _plain(value) == _plain(text)
    ]
    single = _LETTER.fullmatch(text)
    if single and single[1] in letters:
        return single[1]
    if len(by_value) == 1:
        return by_value[0]
    if single := _LETTER.fullmatch(text.upper()):  # "(b)"
        if single[1] in letters:
            return single[1]
    both = _LETTER_AND_TEXT.fullmatch(text)
    named = (both[1] or both[2]) if both else ""
    if both and named in letters and _plain(both[3]) == _plain(options[letters.index(named)]):
        return named
    raise BadRowError(
        f"answer {text!r:.80} names none of the options {letters[0]}..{letters[-1]}, or two alike"
    )


def _plain(value: str) -> str:
    return " ".join(value.removesuffix(".").strip("$ ").split()).casefold()

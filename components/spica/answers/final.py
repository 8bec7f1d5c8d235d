r"""Reads the final answer out of a response that may have no box: a stated one, or its last formula.

Only what `spica score` is given may lack a box; a rollout without one is wrong (`spica.answers.judge`).
"""

import re

from spica.answers.extract import MAX_ANSWER_CHARS, extract
from spica.answers.parts import SOLUTION_BEGIN, SOLUTION_END

_TAIL_CHARS = 4000
"""A final answer stands in the end of a response."""

_STATED = re.compile(
    r"(?:final\s+answers?|answers?|\u6700\u7ec8\u7b54\u6848|\u7b54\u6848)\**\s*(?:are|is|\u662f|\u4e3a)?\s*(?:therefore\s+)?[:\uff1a]?\**\s*",
    re.IGNORECASE,
)
_SAYS = re.compile(r"(?:is|are|:|\uff1a|\u662f|\u4e3a|therefore)\s*\**\s*$", re.IGNORECASE)
_END = re.compile(r"\n|\.\s|\.$|\u3002|<\|| I hope ")
_FORMULA = re.compile(
    r"\$\$(.{1,1000}?)\$\$|\$((?:\\.|[^$\\\n]){1,1000})\$|\\\((.{1,1000}?)\\\)|\\\[(.{1,1000}?)\\\]",
    re.DOTALL,
)
_WORDS = re.compile(r"(?<![\\\\{_A-Za-z])(?!and\b|or\b)[A-Za-z']{2,}(?![A-Za-z]*[({])|[\u4e00-\u9fff]{2}")
_NAMED = re.compile(
    r"\b(?:is|are|was|were|called|named|not\s.{1,40}\sbut)\s+((?!not\b)[^.;:]{1,80})\.?\s*$", re.IGNORECASE
)
_RANGE = re.compile(r"\b(?:between|from|either)\b[^.]{0,60}\b(?:and|to|or)\s*$")
_SENTENCE = re.compile(r"(?<![\\\\{A-Za-z])[A-Za-z']{2,}\s+[A-Za-z']{2,}\b|[A-Za-z]{4,}\s+\d|:\s*\d")
_NUMBER = re.compile(r"(?<![A-Za-z\d.])-?\d[\d,]*(?:\.\d+)?(?:/\d+)?\s?%?(?![A-Za-z]{3})")


def final_answer(response: str, words: bool = True) -> str | None:
    """The box; else what follows "the answer is"; else the last formula; else the whole where it is short.

    words: whether the answer may be words; otherwise of a sentence its last formula or number counts.
    """
    boxed = extract(response)
    if boxed is None and "\\fbox" in response:
        boxed = extract(response.replace("\\fbox", "\\boxed"))
    if boxed is not None:
        return boxed
    solution = response.rpartition(SOLUTION_BEGIN)[2].partition(SOLUTION_END)[0]
    text = solution.strip()[-_TAIL_CHARS:]
    if len(text) <= MAX_ANSWER_CHARS and not _WORDS.search(text):
        return text or None
    stated = _stated(text)
    if stated:
        return stated if words else _value_in(stated)
    formulas = list(_FORMULA.finditer(text))
    if formulas and (words or not _NUMBER.search(text, formulas[-1].end())):
        return _content(formulas[-1])
    last = text.splitlines()[-1].strip() if text else ""
    if not words:
        return _value_in(last) if _NUMBER.search(last) else _value_in(text) if text else None
    if named := _NAMED.search(last):
        return named[1]
    return text if text and len(text) <= MAX_ANSWER_CHARS else None


def _content(match: re.Match[str]) -> str:
    return "".join(filter(None, match.groups())).strip()


def _value_in(sentence: str) -> str | None:
    """The sentence where it is a value; else its last formula or number; None without either."""
    if not _SENTENCE.search(sentence):
        return sentence
    formulas = list(_FORMULA.finditer(sentence))
    numbers = list(_NUMBER.finditer(sentence))
    if numbers and _RANGE.search(sentence, 0, numbers[-1].start()):
        return sentence  # two numbers are no answer
    tail = sentence[max((match.end() for match in _WORDS.finditer(sentence)), default=0) :].strip(" .,:*")
    if "\\" in tail and not formulas:
        return tail
    if formulas and not (numbers and numbers[-1].start() > formulas[-1].end()):
        return _content(formulas[-1])
    return numbers[-1][0] if numbers else None


def _stated(text: str) -> str:
    found = ""
    for match in _STATED.finditer(text):
        if not _SAYS.search(match[0]):
            continue
        rest = text[match.end() :]
        formula = _FORMULA.match(rest.lstrip())
        if formula:
            found = _content(formula)
            continue
        end = _END.search(rest)
        sentence = rest[: end.start() if end else len(rest)].strip().strip("*")
        if sentence and len(sentence) <= MAX_ANSWER_CHARS:
            found = sentence
    return found

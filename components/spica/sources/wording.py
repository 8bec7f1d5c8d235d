"""Official wordings to the one way in which the model sees a question: no tags, no hints, options as lines.

c+h=?
Choices:
(A) 3
(B) 7
"""

import re
from collections.abc import Sequence

LETTERS = "ABCDEFGHIJ"
PREFIX = r"Please first think deeply about the question, and then put the final answer in \boxed{}."
"""Stands before every question of the authors' files (README of their repository, quick start)."""

_TAG = re.compile(r"<(?:image|img)[ _]?(\d*)>")
_QUESTION = re.compile(r"^[ \t]*Question:[ \t]*", re.MULTILINE)
_LEAD_IN_CUE = re.compile(r"\b(hint|answer|choices?|select|choose|perform|reasoning|solve)\b", re.IGNORECASE)
_HINT_LINE = re.compile(r"\AHint:[^\n]*\n")
_LEAD_IN_LINE = re.compile(
    r"\A(?:Based on|According to) the (?:image|figure|diagram|picture)[^\n]*\b"
    r"(?:select|choose|answer)\b[^\n]*\bquestion:?[ \t]*\n",
    re.IGNORECASE,
)
_SHORT_ANSWER = re.compile(
    r"(?:short|quick|concise|brief) (?:answer|response)\b.*"
    r"|(?:please )?(?:answer|provide|give|your (?:answer|response)|keep|be|write|offer|make|ensure|respond)\b"
    r".*\b(?:brief(?:ly)?|brevity|short|succinct|concise|compact|terse|to the point|word|phrase|number"
    r"|directly|direct|letter|yes or no)"
    r".*",
    re.IGNORECASE,
)
_MAX_SUFFIX = 120
_HEADER = re.compile(r"^[ \t]*(?:Choices?|Options?):[ \t]*", re.MULTILINE | re.IGNORECASE)
_OPTION = re.compile(r"(?:^|(?<=\s))\(([A-J])\)[ \t]*|^[ \t]*([A-J])[.:)][ \t]*", re.MULTILINE)


def take_tags(text: str) -> tuple[str, list[str]]:
    """The text without picture tags (<image>, <image1>, <image 1>, <img_12>), and the tags' numbers in order.

    Lines that held only tags go; other lines keep their words, joined by one space.
    """
    numbers = _TAG.findall(text)
    lines = []
    for line in text.split("\n"):
        rest = re.sub(r"[ \t]*" + _TAG.pattern + r"[ \t]*", " ", line).strip() if _TAG.search(line) else line
        if rest or rest == line:
            lines.append(rest)
    return "\n".join(lines).strip(), numbers


def strip_instructions(text: str) -> str:
    """The question without how-to-answer text, which would contradict the recipe's prefix (protocol B1).

    Taken off: MathV360K's "Hint: ..." line and other lead-ins before "Question:", and the Cauldron's last
    line that asks for a short answer. A single line is never taken for a suffix.
    """
    found = _QUESTION.search(text)
    if found and (found.start() == 0 or _LEAD_IN_CUE.search(text[: found.start()])):
        text = text[found.end() :]
    text = _LEAD_IN_LINE.sub("", _HINT_LINE.sub("", text)).strip()
    head, newline, last = text.rpartition("\n")
    if newline and len(last) <= _MAX_SUFFIX and _SHORT_ANSWER.fullmatch(last.strip()):
        text = head.rstrip()
    return text


def strip_prefix(text: str) -> str:
    """The question without the authors' prefix, which the recipe puts before every question."""
    return text.lstrip().removeprefix(PREFIX).strip()


def split_choices(text: str) -> tuple[str, tuple[str, ...]]:
    """Question and option values of a text with "(A) x", "A. x" or "A:x", after "Choices:" or at its end.

    Letters must run from A without a gap; fewer than two are no options and stay a part of the question.
    """
    headers = list(_HEADER.finditer(text))
    header = headers[-1] if headers else None
    start = header.end() if header else 0
    marks: list[re.Match[str]] = []
    for mark in _OPTION.finditer(text, start):
        if len(marks) < len(LETTERS) and (mark[1] or mark[2]) == LETTERS[len(marks)]:
            # Without a header, "(A)" within a sentence is prose: a list begins on a line of its own.
            begins_line = not text[text.rfind("\n", 0, mark.start()) + 1 : mark.start()].strip()
            if marks or header or begins_line:
                marks.append(mark)
    if len(marks) < 2 or (header and text[start : marks[0].start()].strip()):
        return text.strip(), ()
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    values = tuple(" ".join(text[mark.end() : end].split()) for mark, end in zip(marks, ends, strict=True))
    stem = text[: header.start() if header else marks[0].start()]
    return stem.strip(), values


def with_choices(question: str, options: Sequence[str]) -> str:
    """The question with its options as the model sees them.

    Options that are just their letters (they are drawn in the picture) are left out, as MATH-V does.
    """
    if not options or tuple(options) == tuple(LETTERS[: len(options)]):
        return question
    lines = (f"({letter}) {value}" for letter, value in zip(LETTERS, options, strict=False))
    return "\n".join([question, "Choices:", *lines])

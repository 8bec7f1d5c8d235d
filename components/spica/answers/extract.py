r"""Finds the final answer: the last `\boxed{}` of the solution block (protocol A2, D5)."""

import re

from spica.answers.parts import SOLUTION_BEGIN, SOLUTION_END

MAX_ANSWER_CHARS = 1000
"""A longer box holds no answer."""

_BRACES = re.compile(r"\\{1,2}f?boxed\s*\{|\\.|[{}]", re.DOTALL)
_TYPESETTING = re.compile(
    r"\\q?quad|\\[()\[\],;: ]|\$|\\(?:text|mathrm|textbf)\s*\{([^{}]*)\}|[A-Za-z](?:_\{?\w+\}?)?\s*=\s*$"
)
_JOINS = re.compile(r"(?:[^.:=\n]{0,60}?(?:^|\s|[^\w]))?(?:,|;|and|or|\u548c|\u6216)|")
"""What may stand between two boxes that hold one answer together: `\\boxed{1} and \\boxed{2}`."""
_MAX_BETWEEN = 120


def extract(response: str) -> str | None:
    r"""What the last balanced `\boxed{}` holds, in the solution block or else anywhere; None without one.

    Nested braces count, escaped ones do not; of nested boxes the inner is read; an unbalanced one is none.
    Boxes with no more than a comma, "and" or "or" between them are one answer, joined by commas. Linear in
    the length of the response.
    """
    _, begin, solution = response.rpartition(SOLUTION_BEGIN)
    if begin:
        found = _last_boxes(solution.partition(SOLUTION_END)[0])
        if found is not None:
            return found
    return _last_boxes(response)


def _last_boxes(text: str) -> str | None:
    boxes = _boxes(text)
    if not boxes:
        return None
    first = len(boxes) - 1
    while first and _belong_together(text, boxes[first - 1][1] + 1, boxes[first][0]):
        first -= 1
    found = [text[begin:end].strip() for begin, end in boxes[first:]]
    joined = ", ".join(dict.fromkeys(found))
    return joined if len(joined) <= MAX_ANSWER_CHARS else found[-1]


def _belong_together(text: str, end: int, begin: int) -> bool:
    between = text[end:begin]
    if len(between) > _MAX_BETWEEN:
        return False
    between = between[: between.rindex("\\")].rstrip("\\")
    between = _TYPESETTING.sub(r" \1 ", _TYPESETTING.sub(r" \1 ", between)).strip(" ")
    return _JOINS.fullmatch(between.strip() if between.strip(",; \n") else between) is not None


def _boxes(text: str) -> list[tuple[int, int]]:
    """Where the content of each balanced box begins and ends; of nested ones the innermost."""
    boxes: list[tuple[int, int]] = []
    # Start of the content for an open box, -1 for any other open brace.
    opened: list[int] = []
    for match in _BRACES.finditer(text):
        token = match[0]
        if token == "}":
            start = opened.pop() if opened else -1
            if (
                start >= 0
                and match.start() - start <= MAX_ANSWER_CHARS
                and not (boxes and boxes[-1][0] > start)
            ):
                boxes.append((start, match.start()))
        elif token == "{":
            opened.append(-1)
        elif token.endswith("{") and "boxed" in token:
            opened.append(match.end())
    return boxes

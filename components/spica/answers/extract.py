r"""Finds the final answer: the last `\boxed{}` of the solution block (protocol A2, D5)."""

import re

from spica.answers.parts import SOLUTION_BEGIN, SOLUTION_END

MAX_ANSWER_CHARS = 1000
"""A longer box holds no answer."""

_BRACES = re.compile(r"\\f?boxed\s*\{|\\.|[{}]", re.DOTALL)


def extract(response: str) -> str | None:
    r"""What the last balanced `\boxed{}` holds, in the solution block or else anywhere; None without one.

    Nested braces count, escaped ones do not; of nested boxes the inner is read; an unbalanced one is none.
    Linear in the length of the response.
    """
    _, begin, solution = response.rpartition(SOLUTION_BEGIN)
    if begin:
        found = _last_box(solution.partition(SOLUTION_END)[0])
        if found is not None:
            return found
    return _last_box(response)


def _last_box(text: str) -> str | None:
    last: tuple[int, int] | None = None
    # Start of the content for an open box, -1 for any other open brace.
    opened: list[int] = []
    for match in _BRACES.finditer(text):
        token = match[0]
        if token == "}":
            start = opened.pop() if opened else -1
            if start >= 0 and match.start() - start <= MAX_ANSWER_CHARS and (last is None or start > last[0]):
                last = (start, match.start())
        elif token == "{":
            opened.append(-1)
        elif token.endswith("{") and len(token) > 2:
            opened.append(match.end())
    return text[last[0] : last[1]].strip() if last else None

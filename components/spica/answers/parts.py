"""A response in its two parts, as the paper writes them (protocol A2)."""

import re
from typing import NamedTuple

THOUGHT_BEGIN = "<|begin_of_thought|>"
THOUGHT_END = "<|end_of_thought|>"
SOLUTION_BEGIN = "<|begin_of_solution|>"
SOLUTION_END = "<|end_of_solution|>"

_MARKERS = (THOUGHT_BEGIN, THOUGHT_END, SOLUTION_BEGIN, SOLUTION_END)
_ANY_MARKER = re.compile("|".join(map(re.escape, _MARKERS)))


class Parts(NamedTuple):
    """Thought and solution without their markers; either may be empty."""

    thought: str
    solution: str


def thought_span(response: str) -> tuple[int, int]:
    """Where the thought lies in a response, its markers left out; (0, 0) for a response without one.

    A missing opening marker is taken to stand at the start, a missing closing one where the solution begins
    or at the end: a thought that was cut reaches to its end. Without either marker there is no thought.
    """
    solution = response.find(SOLUTION_BEGIN)
    limit = len(response) if solution < 0 else solution
    opened, closed = response.find(THOUGHT_BEGIN, 0, limit), response.find(THOUGHT_END, 0, limit)
    if opened < 0 and closed < 0:
        return (0, 0)
    begin = 0 if opened < 0 or 0 <= closed < opened else opened + len(THOUGHT_BEGIN)
    return (begin, limit if closed < 0 else closed)


def split_response(response: str) -> Parts:
    """Thought and solution; what stands behind the solution or in front of the thought is in neither.

    A response without thought is all solution, one that was cut inside its thought has none.
    """
    begin, end = thought_span(response)
    _, opened, solution = response.partition(SOLUTION_BEGIN)
    if not opened:
        solution = response[end:].removeprefix(THOUGHT_END)
    return Parts(response[begin:end].strip(), solution.partition(SOLUTION_END)[0].strip())


def has_thought(response: str) -> bool:
    """Whether it is in the paper's form: each of the four markers once, in order, with text in both parts."""
    return tuple(_ANY_MARKER.findall(response)) == _MARKERS and all(split_response(response))


def join_response(thought: str, solution: str) -> str:
    """The paper's response format around a thought and a solution that came apart."""
    return (
        f"{THOUGHT_BEGIN}\n\n{thought.strip()}\n\n{THOUGHT_END}\n\n"
        f"{SOLUTION_BEGIN}\n\n{solution.strip()}\n\n{SOLUTION_END}"
    )

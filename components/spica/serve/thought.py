"""A response in its two parts, as the paper writes them (protocol A2)."""

from typing import NamedTuple

from spica.answers.extract import SOLUTION_BEGIN, SOLUTION_END, THOUGHT_BEGIN, THOUGHT_END


class Reply(NamedTuple):
    """Thought and solution without their markers; either may be empty."""

    thought: str
    solution: str


def split_response(response: str) -> Reply:
    """Split at the markers, whichever of them there are.

    A missing opening marker is taken to stand at the start, a missing closing one where the next part begins
    or at the end: a response cut inside its thought has no solution, one without any marker no thought.
    """
    before, solution_opened, solution = response.partition(SOLUTION_BEGIN)
    head, thought_closed, rest = before.partition(THOUGHT_END)
    if thought_closed or THOUGHT_BEGIN in head:
        thought = head.replace(THOUGHT_BEGIN, "", 1)
        between = rest
    else:
        thought, between = "", before
    return Reply(
        thought.strip(), (solution if solution_opened else between).partition(SOLUTION_END)[0].strip()
    )

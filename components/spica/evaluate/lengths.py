"""How long the parts of a response are, in tokens of the checkpoint's own tokenizer and in words."""

from typing import Any, NamedTuple

from spica.answers import split_response
from spica.answers.parts import SOLUTION_BEGIN, SOLUTION_END, THOUGHT_END, thought_span


class Lengths(NamedTuple):
    """Of thought and solution, markers left out; words are what white space separates."""

    num_thought_tokens: int
    num_solution_tokens: int
    num_thought_words: int
    num_solution_words: int


def measure(response: str, tokenizer: Any) -> Lengths:
    """Lengths of both parts (`thought_span`); of a response without thought all is solution.

    The whole response is tokenized and the tokens that start inside a part are counted: were the part cut out
    first, its ends might merge otherwise. Special tokens that the tokenizer would add are not counted.
    """
    offsets = tokenizer.encode(response, add_special_tokens=False).offsets
    thought, solution = split_response(response)
    begin, end = thought_span(response)
    first, last = _solution_span(response, end)
    return Lengths(
        num_thought_tokens=sum(begin <= start < end for start, _ in offsets),
        num_solution_tokens=sum(first <= start < last for start, _ in offsets),
        num_thought_words=len(thought.split()),
        num_solution_words=len(solution.split()),
    )


def _solution_span(response: str, thought_end: int) -> tuple[int, int]:
    """Where the solution lies, as `split_response` cuts it."""
    opened = response.find(SOLUTION_BEGIN)
    first = opened + len(SOLUTION_BEGIN) if opened >= 0 else thought_end
    if opened < 0 and response.startswith(THOUGHT_END, first):
        first += len(THOUGHT_END)
    closed = response.find(SOLUTION_END, first)
    return first, len(response) if closed < 0 else closed

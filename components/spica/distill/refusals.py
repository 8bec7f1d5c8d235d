"""What becomes of questions that the teacher will not take."""

import logging

from spica.chat import ChatRequest, RefusedError
from spica.errors import EndpointError, Fault

log = logging.getLogger("spica.distill")

MAX_REFUSED_FRACTION = 0.01
"""Of all rollouts; above it the fault is the endpoint's or the recipe's, not that of single questions."""


class Refusals:
    """Requests refused so far, held back until it is known that the endpoint answers others.

    One question's rollouts may always be refused, however few questions there are.
    """

    def __init__(self, num_rollouts: int, num_per_question: int, answered: bool) -> None:
        self.answered = answered
        """Whether the endpoint has ever answered."""
        self._max_refused = max(num_per_question, int(MAX_REFUSED_FRACTION * num_rollouts))
        self._refused: list[tuple[ChatRequest, RefusedError]] = []

    def add(self, request: ChatRequest, error: RefusedError) -> None:
        """Takes note of one.

        Raises:
            EndpointError: These are too many; it names the first.
        """
        self._refused.append((request, error))
        if len(self._refused) > self._max_refused:
            first = self._refused[0][1].faults[0]
            raise EndpointError(
                Fault(
                    where=first.where,
                    found=f"{first.found}; with it {len(self._refused)} rollouts were refused",
                    allowed=f"at most {self._max_refused} refused rollouts",
                    next=first.next,
                )
            )

    def accepted(self) -> list[tuple[ChatRequest, RefusedError]]:
        """All of them, once the asking is over.

        Raises:
            RefusedError: The endpoint refused everything that it was asked.
        """
        if self._refused and not self.answered:
            raise self._refused[0][1]
        for _, error in self._refused[:1]:
            log.warning("%d rollouts refused, the first: %s", len(self._refused), error.faults[0].found)
        return self._refused

"""Lossless cancelling: a rollout that cannot be the shortest correct one of its question is not finished.

Only the correct rollout with the lowest (number of tokens, index) is kept. Once some sibling is correct with
T tokens, a running one that has received more, or as many with a higher index, cannot be lower any more: its
end can only add tokens. What is kept is therefore the same as if all had run to their end.
"""

from collections.abc import Iterable, Sequence

from spica.artifacts.types import Rollout
from spica.chat import CANCELLED
from spica.distill.select import rank, shortest_correct


class Race:
    """The shortest correct rollout of each question so far."""

    def __init__(self, finished: Iterable[Rollout] = ()) -> None:
        self._best = {rollout.id: rank(rollout) for rollout in shortest_correct(finished)}

    def finish(self, rollout: Rollout) -> None:
        """Takes note of one that has ended."""
        if rollout.verdict == "correct":
            self._best[rollout.id] = min(self._best.get(rollout.id, rank(rollout)), rank(rollout))

    def is_lost(self, id: str, index: int, num_tokens: int) -> bool:
        """Whether a rollout with at least so many tokens can no longer be the shortest correct one."""
        best = self._best.get(id)
        return best is not None and (num_tokens, index) > best


def still_lost(journalled: Sequence[Rollout]) -> list[Rollout]:
    """A journal without the cancelled rollouts whose defeat it cannot prove now; those are asked again."""
    race = Race(journalled)
    return [
        one
        for one in journalled
        if one.verdict != "cancelled" or race.is_lost(one.id, one.index, one.num_tokens)
    ]


def settle(rollouts: Sequence[Rollout]) -> list[Rollout]:
    """The rollouts as they would be if each had been cancelled at the earliest moment.

    Which rollouts are cancelled, and when, depends on how fast a server was; whether one could be kept does
    not. So every rollout behind the shortest correct one of its question becomes a cancelled one with that
    one's length, and the same questions give the same bytes, however often a run was interrupted.
    """
    best = {rollout.id: rollout for rollout in shortest_correct(rollouts)}
    settled = []
    for one in rollouts:
        winner = best.get(one.id)
        if winner is not None and rank(one) > rank(winner):
            lost = {"response": "", "finish_reason": CANCELLED, "verdict": "cancelled"}
            one = one.model_copy(update={**lost, "num_tokens": winner.num_tokens})
        settled.append(one)
    return settled

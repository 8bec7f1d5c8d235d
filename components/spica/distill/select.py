"""Which rollouts are kept, and how often a teacher was right (protocol B2)."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TypedDict

from spica.artifacts.types import PromptRow, Rollout


class PassRates(TypedDict):
    """pass_rates.json; rates are shares of rollouts, rounded to 6 decimals."""

    overall: float | None
    """None where rollouts were cancelled: nobody knows what they would have said."""
    by_source: dict[str, float]
    by_num_steps: dict[str, float]
    """Questions whose number of steps is known."""
    correct_histogram: dict[str, int]
    """Number of correct rollouts of a question -> number of questions."""
    verdicts: dict[str, int]


def shortest_correct(rollouts: Iterable[Rollout], num_kept: int = 1) -> list[Rollout]:
    """For each question the correct rollouts with the fewest tokens, the lower index first among equals.

    Args:
        rollouts: Of any questions; those of the result come in the same order.
        num_kept: Most rollouts per question.
    """
    correct: dict[str, list[Rollout]] = defaultdict(list)
    for rollout in rollouts:
        if rollout.verdict == "correct":
            correct[rollout.id].append(rollout)
    return [one for same in correct.values() for one in sorted(same, key=rank)[:num_kept]]


def rank(rollout: Rollout) -> tuple[int, int]:
    """Orders rollouts of one question: the lowest correct one is kept."""
    return rollout.num_tokens, rollout.index


def pass_rates(rows: Sequence[PromptRow], rollouts: Sequence[Rollout]) -> PassRates:
    """Counts verdicts; rates and histogram are empty where any rollout was cancelled."""
    verdicts: dict[str, int] = dict(sorted(Counter(rollout.verdict for rollout in rollouts).items()))
    if "cancelled" in verdicts:
        return {
            "overall": None,
            "by_source": {},
            "by_num_steps": {},
            "correct_histogram": {},
            "verdicts": verdicts,
        }
    by_id = {row.id: row for row in rows}
    overall: list[bool] = []
    by_source: dict[str, list[bool]] = defaultdict(list)
    by_num_steps: dict[str, list[bool]] = defaultdict(list)
    correct = dict.fromkeys(by_id, 0)
    for rollout in rollouts:
        row, right = by_id[rollout.id], rollout.verdict == "correct"
        overall.append(right)
        by_source[row.source].append(right)
        if row.num_steps is not None:
            by_num_steps[str(row.num_steps)].append(right)
        correct[row.id] += right
    histogram = Counter(correct.values())
    return {
        "overall": _rate(overall),
        "by_source": _rates(by_source),
        "by_num_steps": _rates(by_num_steps),
        "correct_histogram": {str(count): histogram[count] for count in sorted(histogram)},
        "verdicts": verdicts,
    }


def _rates(groups: Mapping[str, list[bool]]) -> dict[str, float]:
    return {name: _rate(rights) for name, rights in sorted(groups.items())}


def _rate(rights: Sequence[bool]) -> float:
    return round(sum(rights) / len(rights), 6) if rights else 0.0

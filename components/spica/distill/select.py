"""Which rollouts are kept, and how often a teacher was right (protocol B2)."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TypedDict

from spica.artifacts.types import PromptRow, Rollout


class PassRates(TypedDict):
    """pass_rates.json; rates are shares of rollouts, rounded to 6 decimals."""

    overall: float
    by_source: dict[str, float]
    by_num_steps: dict[str, float]
    """Questions whose number of steps is known."""
    correct_histogram: dict[str, int]
    """Number of correct rollouts of a question -> number of questions."""
    verdicts: dict[str, int]


def shortest_correct(rollouts: Iterable[Rollout]) -> list[Rollout]:
    """For each question that has one, the correct rollout with the fewest tokens, the first of equals."""
    best: dict[str, Rollout] = {}
    for rollout in rollouts:
        if rollout.verdict != "correct":
            continue
        known = best.setdefault(rollout.id, rollout)
        if (rollout.num_tokens, rollout.index) < (known.num_tokens, known.index):
            best[rollout.id] = rollout
    return list(best.values())


def pass_rates(rows: Sequence[PromptRow], rollouts: Sequence[Rollout]) -> PassRates:
    """Counts verdicts over questions that all have the same number of rollouts."""
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
        "verdicts": dict(sorted(Counter(rollout.verdict for rollout in rollouts).items())),
    }


def _rates(groups: Mapping[str, list[bool]]) -> dict[str, float]:
    return {name: _rate(rights) for name, rights in sorted(groups.items())}


def _rate(rights: Sequence[bool]) -> float:
    return round(sum(rights) / len(rights), 6) if rights else 0.0

"""In which order questions are asked: the longest expected answers first, siblings next to each other.

A long answer that starts last keeps a server waiting with empty slots. Siblings (the rollouts of one
question) share their prompt, so that a server with a prefix cache computes it once, and pictures are encoded
once per question.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import groupby

from spica.artifacts.types import Rollout
from spica.distill.draws import Draw


def longest_first(draws: Sequence[Draw], finished: Iterable[Rollout]) -> list[Draw]:
    """Orders draws; what is drawn does not depend on it.

    Expected is the mean length of the question's finished siblings, where an interrupted run has left some:
    those questions come first, so that they are soon done. Of the others the longer question is expected to
    have the longer answer. Equals stay as they are.

    Args:
        draws: Siblings stand together.
        finished: What the journal has.
    """
    lengths: dict[str, list[int]] = defaultdict(list)
    for rollout in finished:
        lengths[rollout.id].append(rollout.num_tokens)

    def expected(siblings: list[Draw]) -> tuple[float, int]:
        known = lengths.get(siblings[0].row.id)
        return sum(known) / len(known) if known else -1.0, len(siblings[0].row.question)

    groups = [list(group) for _, group in groupby(draws, key=lambda draw: draw.row.id)]
    return [draw for group in sorted(groups, key=expected, reverse=True) for draw in group]

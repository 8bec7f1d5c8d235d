"""How far a judge can be trusted: its agreement with judgements made by hand."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from spica.answers.judging import JudgeClient, same_answer
from spica.artifacts.rows import read_jsonl
from spica.artifacts.types import Row

# Beside the modules, not in a folder `data`: it is a part of the stage's code digest.
GOLDEN = Path(__file__).parent / "golden_judgements.jsonl"


class Golden(Row):
    """One comparison judged by hand."""

    question: str
    gold: str
    extraction: str
    agree: bool


class Agreement(NamedTuple):
    """Of a judge with the golden set.

    Attributes:
        num: Comparisons.
        num_equal: Judged as by hand.
        num_unjudged: Those on which the judge would say neither 0 nor 1.
        kappa: Cohen's kappa over those it judged (J. Cohen, Educational and Psychological Measurement 20,
            1960); None where it is not defined.
    """

    num: int
    num_equal: int
    num_unjudged: int
    kappa: float | None


def agreement(judge: JudgeClient, concurrency: int) -> Agreement:
    """Asks the judge every comparison of the golden set.

    Raises:
        EndpointError: Nobody answers.
    """
    golden = read_jsonl(GOLDEN, Golden)
    with ThreadPoolExecutor(concurrency) as pool:
        verdicts = list(
            pool.map(lambda row: same_answer(judge, row.question, row.gold, row.extraction), golden)
        )
    judged = [
        (row.agree, verdict) for row, verdict in zip(golden, verdicts, strict=True) if verdict is not None
    ]
    return Agreement(
        num=len(golden),
        num_equal=sum(hand == verdict for hand, verdict in judged),
        num_unjudged=len(golden) - len(judged),
        kappa=cohens_kappa(judged),
    )


def cohens_kappa(pairs: Sequence[tuple[bool, bool]]) -> float | None:
    """Agreement of two raters beyond chance, in -1..1; None of nothing, or where chance explains all."""
    if not pairs:
        return None
    n = len(pairs)
    first, second = sum(one for one, _ in pairs) / n, sum(other for _, other in pairs) / n
    by_chance = first * second + (1 - first) * (1 - second)
    observed = sum(one == other for one, other in pairs) / n
    return None if by_chance == 1 else (observed - by_chance) / (1 - by_chance)

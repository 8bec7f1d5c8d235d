r"""The verdicts of OlympiadBench's two published programs.

official: OpenBMB/OlympiadBench, inference/judge.py and code/math_judger.py (sympy 1.12, antlr4 4.11).
fork: RUCAIBox/Virgo, evaluation/OlympiadBench/evaluation/{score_answer,evaluate}.py (sympy 1.13.1).

Both pass the prediction where the judger documents the gold answer, and the first of several gold entries.
Where a program ends with an exception, or has no end within the worker's deadline, the answer is wrong.

>>> row = ScoreRow(id="7", response=r"So the final answer is \boxed{0.5}.", gold=r"$\frac{1}{2}$")
>>> [score([row])[0].correct for score in (official, fork)]
[True, False]
"""

import re
from collections.abc import Sequence

from spica.answers import worker
from spica.answers.published.olympiadbench_text import Unreadable, answers, boxes, cleaned
from spica.answers.types import Scored, ScoreRow

_PAIRING = "spica.answers.published.olympiadbench_judger:pairing"
_DEFAULT_TOLERANCE = 1e-8

_LAST_SENTENCE = {False: "So the final answer is (.*)", True: "所以最终答案是(.*)"}
"""By whether the question is Chinese."""

_MAX_FORK_CHARS = 100


def official(rows: Sequence[ScoreRow]) -> list[Scored]:
    """Verdicts of OpenBMB/OlympiadBench, one per row and in the rows' order."""
    return [_official(row) for row in rows]


def fork(rows: Sequence[ScoreRow]) -> list[Scored]:
    """Verdicts of RUCAIBox/Virgo, one per row and in the rows' order."""
    return [_fork(row) for row in rows]


def _official(row: ScoreRow) -> Scored:
    sentences = re.findall(_LAST_SENTENCE[row.language in ("Chinese", "zh")], row.response)
    return _judged(row, sentences[-1].strip() if sentences else row.response, is_fork=False)


def _fork(row: ScoreRow) -> Scored:
    try:
        answer = "".join(f"{box}," for box in boxes(row.response))
    except Unreadable as error:
        return _wrong(row, None, str(error))
    if len(answer) > _MAX_FORK_CHARS:
        return _wrong(row, answer, f"longer than {_MAX_FORK_CHARS} characters")
    return _judged(row, answer, is_fork=True)


def _judged(row: ScoreRow, answer: str, is_fork: bool) -> Scored:
    if row.gold == ():
        return _wrong(row, None, "no gold answer")
    first_gold = row.gold if isinstance(row.gold, str) else row.gold[0]
    extracted = None
    try:
        tolerances = _tolerances(row)
        extracted, gold = cleaned(answer), cleaned(first_gold)
        if extracted == gold:
            return _right(row, extracted, "text")
        rule = _paired(answers(extracted), answers(gold), tolerances, is_fork)
    except (Unreadable, ValueError) as error:
        return _wrong(row, extracted, str(error))
    except (worker.WorkerTimeout, worker.WorkerMemory, worker.WorkerDied) as error:
        return _wrong(row, extracted, f"no comparison: {error}")
    return _right(row, extracted, rule) if rule else _wrong(row, extracted, "not equal")


def _tolerances(row: ScoreRow) -> list[float]:
    """One for each answer, or one for all.

    Raises:
        ValueError: one is not a number.
    """
    if "Tuple" in row.answer_type or not row.error:
        return [_DEFAULT_TOLERANCE]
    if "," not in row.error:
        return [float(row.error)]
    return [float(error) if error else _DEFAULT_TOLERANCE for error in row.error.split(",")]


def _paired(predictions: list[str], golds: list[str], tolerances: list[float], is_fork: bool) -> str:
    """The rule that paired them, "" for none.

    Raises:
        ValueError: there are several tolerances, but fewer than answers.
    """
    if len(predictions) != len(golds):
        return ""
    if not predictions:
        return "empty"
    if len(tolerances) == 1:
        tolerances = tolerances * len(predictions)
    if len(tolerances) < len(predictions):
        raise ValueError(f"{len(tolerances)} tolerances for {len(predictions)} answers")
    return str(worker.call(_PAIRING, list(predictions), list(golds), list(tolerances), is_fork))


def _right(row: ScoreRow, extracted: str, method: str) -> Scored:
    return Scored(id=row.id, correct=True, extracted=extracted, method=method, reason="")


def _wrong(row: ScoreRow, extracted: str | None, reason: str) -> Scored:
    return Scored(id=row.id, correct=False, extracted=extracted, method="none", reason=reason)

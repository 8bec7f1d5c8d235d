"""Scores rows by any of the three modes; what `spica score` and the evaluation stage call."""

from collections.abc import Sequence

from spica.answers.choices import chosen_letter
from spica.answers.compare import Decision, decide, gold_fault, is_mathematics
from spica.answers.extract import extract
from spica.answers.final import final_answer
from spica.answers.gold import gold_of
from spica.answers.judging import NO_ANSWER, JudgeClient, extract_answer, same_answer
from spica.answers.modes import PUBLISHED
from spica.answers.types import UNJUDGED, Judged, Mode, Scored, ScoreRow
from spica.artifacts.types import GOLD_UNPARSED, Gold
from spica.errors import Fault, PrerequisiteError


def score(
    rows: Sequence[ScoreRow], benchmark: Judged, mode: Mode = "repaired", judge: JudgeClient | None = None
) -> list[Scored]:
    """One verdict per row, in order.

    Raises:
        PrerequisiteError: nothing was published for this mode and benchmark.
    """
    if benchmark not in PUBLISHED[mode]:
        raise PrerequisiteError(
            Fault(
                where=f"mode {mode} of {benchmark}",
                found="no program of that kind was ever published",
                allowed=f"{mode}: {', '.join(sorted(PUBLISHED[mode]))}",
                next="take another mode; `repaired` has every benchmark",
            )
        )
    if mode == "repaired":
        return [repaired(row, benchmark, judge) for row in rows]
    found = iter(_published([row for row in rows if row.gold != ()], benchmark, mode, judge))
    return [_without_gold(row) if row.gold == () else next(found) for row in rows]


def _without_gold(row: ScoreRow) -> Scored:
    return Scored(id=row.id, correct=False, extracted=None, method=GOLD_UNPARSED, reason="no gold answer")


def _published(
    rows: Sequence[ScoreRow], benchmark: Judged, mode: Mode, judge: JudgeClient | None
) -> list[Scored]:
    match benchmark, mode:
        case "mathverse", "official":
            from spica.answers.published import mathverse

            return mathverse.official(rows, judge)
        case "mathverse", _:
            from spica.answers.published import mathverse

            return mathverse.fork(rows, judge)
        case "mathvision", "official":
            from spica.answers.published import mathvision

            return mathvision.official(rows)
        case "mathvision", _:
            from spica.answers.published import mathvision

            return mathvision.fork(rows, judge)
        case "olympiadbench", "official":
            from spica.answers.published import olympiadbench

            return olympiadbench.official(rows)
        case "olympiadbench", _:
            from spica.answers.published import olympiadbench

            return olympiadbench.fork(rows)
    from spica.answers.published import mmmu

    return mmmu.official(rows)


def repaired(row: ScoreRow, benchmark: Judged, judge: JudgeClient | None = None) -> Scored:
    """The verdict of protocol D5: rules, and for MathVerse's words that no rule settles the judge."""
    if row.gold == ():
        return _without_gold(row)
    if not row.response.strip():
        return Scored(
            id=row.id, correct=False, extracted=None, method="empty", reason="the response is empty"
        )
    gold = gold_of(row, benchmark)
    given = _extracted(row.response, gold)
    if given is None:
        decision = Decision(False, "no_answer", "no answer found in the response")
    else:
        decision = decide(given, gold)
        if (
            not decision.correct and decision.method == "text" and "," in given
        ):  # "Bergen, Norway, by the sea"
            decision = decide(given.partition(",")[0], gold)
    fault = "" if decision.correct else gold_fault(gold)
    if fault:
        decision = Decision(False, GOLD_UNPARSED, fault)
    elif (
        benchmark == "mathverse"
        and not decision.correct
        and decision.method in ("text", "no_answer")
        and gold.kind != "letter"
    ):
        return _judged(row, given, judge)
    return Scored(
        id=row.id, correct=decision.correct, extracted=given, method=decision.method, reason=decision.reason
    )


def _extracted(response: str, gold: Gold) -> str | None:
    if gold.kind != "letter":
        return final_answer(response, words=not is_mathematics(gold))
    boxed = extract(response)
    return boxed if boxed is not None else chosen_letter(response, gold)


def _judged(row: ScoreRow, given: str | None, judge: JudgeClient | None) -> Scored:
    if judge is None:
        return Scored(
            id=row.id, correct=False, extracted=given, method=UNJUDGED, reason="words, and no judge to ask"
        )
    extracted = given if given is not None else extract_answer(judge, row.response)
    gold = row.gold if isinstance(row.gold, str) else ", ".join(row.gold)
    verdict = False if extracted == NO_ANSWER else None
    if extracted is not None and verdict is None:
        verdict = same_answer(judge, row.question, gold, extracted)
    if verdict is None:
        return Scored(
            id=row.id,
            correct=False,
            extracted=extracted,
            method=UNJUDGED,
            reason="the judge gave no verdict",
        )
    return Scored(
        id=row.id,
        correct=verdict,
        extracted=extracted,
        method="judge",
        reason="" if verdict else "the judge says no",
    )

r"""MathVerse as ZrrSkywalker/MathVerse (evaluation/) and as RUCAIBox/Virgo score it: both ask a judge, twice.

official: the last words of the response, from which the judge extracts the answer; then question, gold and
extraction, which it judges. fork: the same, but the response is first cut to what follows the last \boxed{
up to the first closing brace (`\frac{1` of \boxed{\frac{1}{2}}), else to the solution.

Replies are read as the programs read them: an empty one is asked for anew, and so is a judgement that is
not 0 or 1, for ever; here at most MAX_TRIES times, and then the row is `unjudged`.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from spica.answers.judging import MAX_TRIES, JudgeClient, extraction_prompt, scoring_prompt
from spica.answers.types import UNJUDGED, Scored, ScoreRow

T = TypeVar("T")

_BOX = "\\boxed{"
_SOLUTION = ("<|begin_of_solution|>", "<|end_of_solution|>")


def official(rows: Sequence[ScoreRow], judge: JudgeClient | None = None) -> list[Scored]:
    """One verdict per row, in order; `unjudged` where no judge is given or it gives no verdict."""
    return [_extracted_and_judged(row, row.response, judge) for row in rows]


def fork(rows: Sequence[ScoreRow], judge: JudgeClient | None = None) -> list[Scored]:
    """As `official`, over what the authors' program leaves of each response."""
    return [_extracted_and_judged(row, cut(row.response), judge) for row in rows]


def cut(response: str) -> str:
    """What the authors' program leaves of a response."""
    if _BOX in response:
        return response.split(_BOX)[-1].split("}")[0]
    if _SOLUTION[0] in response:
        return response.split(_SOLUTION[0])[-1].split(_SOLUTION[1])[0].strip()
    return response


def read_extraction(reply: str) -> str | None:
    """The extracted answer; None for a reply that is asked for anew."""
    return reply.strip().replace("Extracted Answer: ", "").strip() if reply.strip() else None


def read_judgement(reply: str) -> bool | None:
    """1 or 0; None for a reply that is asked for anew."""
    return {"1": True, "0": False}.get(reply.replace("Judgement:", "").strip())


def judged(row: ScoreRow, extracted: str, judge: JudgeClient | None) -> Scored:
    """The judge's verdict over an extracted answer."""
    if judge is None:
        return _unjudged(row, extracted, "words, and no judge to ask")
    gold = row.gold if isinstance(row.gold, str) else ", ".join(row.gold)
    verdict = _asked(judge, scoring_prompt(row.question, gold, extracted), read_judgement)
    if verdict is None:
        return _unjudged(row, extracted, f"the judge said neither 0 nor 1, {MAX_TRIES} times")
    reason = "" if verdict else "the judge says no"
    return Scored(id=row.id, correct=verdict, extracted=extracted, method="judge", reason=reason)


def _extracted_and_judged(row: ScoreRow, response: str, judge: JudgeClient | None) -> Scored:
    if judge is None:
        return _unjudged(row, None, "words, and no judge to ask")
    extracted = _asked(judge, extraction_prompt(response), read_extraction)
    if extracted is None:
        return _unjudged(row, None, f"the judge said nothing, {MAX_TRIES} times")
    return judged(row, extracted, judge)


def _asked(judge: JudgeClient, prompt: str, read: Callable[[str], T | None]) -> T | None:
    for number in range(MAX_TRIES):
        value = read(judge.ask(prompt, number))
        if value is not None:
            return value
    return None


def _unjudged(row: ScoreRow, extracted: str | None, reason: str) -> Scored:
    return Scored(id=row.id, correct=False, extracted=extracted, method=UNJUDGED, reason=reason)

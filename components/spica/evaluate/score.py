"""Judges responses in every mode (spica.answers.score)."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, cast, get_args

from spica.answers import extract, judge
from spica.answers.judging import JudgeClient
from spica.answers.modes import JUDGED_BY_MODEL, PUBLISHED
from spica.answers.score import score as score_rows
from spica.answers.types import UNJUDGED, Judged, Mode, Scored, ScoreRow
from spica.artifacts.types import Score
from spica.evaluate import tasks
from spica.evaluate.answers import Answer
from spica.evaluate.items import Item
from spica.evaluate.lengths import measure
from spica.recipe.schema import Arm


class Asked(NamedTuple):
    """A question and what was answered."""

    item: Item
    answer: Answer


class _Verdict(NamedTuple):
    extracted: str | None
    correct: bool | None
    method: str


_NONE = _Verdict(None, None, "")
"""Of a mode that does not exist."""


def score(
    asked: Sequence[Asked], arm: Arm, tokenizer: Any, client: JudgeClient | None, concurrency: int
) -> list[Score]:
    """One Score per answer, in the same order.

    Args:
        asked: All answers under one repetition penalty: MMMU's published scorer depends on their order.
        arm: Who answered.
        tokenizer: Of the checkpoint, for lengths.
        client: Judges words; None leaves them unjudged.
        concurrency: Judgements in flight.

    Raises:
        EndpointError: The judge cannot be reached.
    """
    verdicts: list[dict[Mode, _Verdict]] = [{} for _ in asked]
    by_source: dict[str, list[int]] = {}
    for place, (item, _) in enumerate(asked):
        by_source.setdefault(item.source, []).append(place)
    for source, places in by_source.items():
        for mode in get_args(Mode):
            found = _judge(source, mode, [asked[place] for place in places], client, concurrency)
            for place, verdict in zip(places, found, strict=True):
                verdicts[place][mode] = verdict
    return [_score(one, arm, tokenizer, given) for one, given in zip(asked, verdicts, strict=True)]


def _judge(
    source: str, mode: Mode, asked: Sequence[Asked], client: JudgeClient | None, concurrency: int
) -> list[_Verdict]:
    if not tasks.is_benchmark(source):
        return [_plain(one) if mode == "repaired" else _NONE for one in asked]
    benchmark = cast(Judged, source)
    if benchmark not in PUBLISHED[mode]:
        return [_NONE for _ in asked]
    # Published programs judge whatever text there is; ours does not take a response that was cut.
    settled = {i: found for i, one in enumerate(asked) if mode == "repaired" and (found := _settled(one))}
    places = [i for i in range(len(asked)) if i not in settled]
    rows = [tasks.score_row(source, asked[i].item.row, asked[i].answer.response) for i in places]
    scored = _score_rows(rows, benchmark, mode, client, concurrency)
    judged = {i: _verdict(one) for i, one in zip(places, scored, strict=True)}
    return [settled.get(i) or judged[i] for i in range(len(asked))]


def _score_rows(
    rows: Sequence[ScoreRow], benchmark: Judged, mode: Mode, client: JudgeClient | None, concurrency: int
) -> list[Scored]:
    if client is None or benchmark not in JUDGED_BY_MODEL[mode]:
        return score_rows(rows, benchmark, mode, None)
    with ThreadPoolExecutor(concurrency) as pool:
        return list(pool.map(lambda row: score_rows([row], benchmark, mode, client)[0], rows))


def _verdict(scored: Scored) -> _Verdict:
    return _Verdict(scored.extracted, None if scored.method == UNJUDGED else scored.correct, scored.method)


def _settled(one: Asked) -> _Verdict | None:
    """The verdict over a response that was cut."""
    response = one.answer.response
    if response.strip() and one.answer.finish_reason != "stop":
        return _Verdict(extract(response), False, "no_end")
    return None


def _plain(one: Asked) -> _Verdict:
    """The verdict over a question of no benchmark."""
    item, answer = one
    found = judge(answer.response, answer.finish_reason, item.row.gold)
    return _Verdict(extract(answer.response), found == "correct", found)


def _score(one: Asked, arm: Arm, tokenizer: Any, verdicts: Mapping[Mode, _Verdict]) -> Score:
    item, answer = one
    headline = verdicts["repaired"]
    return Score(
        id=item.row.id,
        source=item.source,
        arm=arm,
        repetition_penalty=answer.repetition_penalty,
        response=answer.response,
        extracted=headline.extracted,
        correct=bool(headline.correct),
        finish_reason=answer.finish_reason,
        num_tokens=answer.num_tokens,
        **measure(answer.response, tokenizer)._asdict(),
        method=headline.method,
        official=verdicts["official"].correct,
        fork=verdicts["fork"].correct,
    )

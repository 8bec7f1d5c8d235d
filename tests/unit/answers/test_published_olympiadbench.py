import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from spica.answers.published import olympiadbench
from spica.answers.types import Scored, ScoreRow

_CORPUS = Path(__file__).parents[2] / "data" / "verdicts" / "olympiadbench.jsonl"
_ROW_KEYS = ("id", "response", "gold", "answer_type", "error", "unit", "language")

PAIRS = [json.loads(line) for line in _CORPUS.read_text(encoding="utf-8").splitlines()]

EXCEPTIONS: dict[str, set[str]] = {"official": set(), "fork": set()}
"""Ids of pairs on which the verdict is another than the program's; olympiadbench.md has the reasons."""


def _score(mode: str, rows: Sequence[ScoreRow]) -> list[Scored]:
    return {"official": olympiadbench.official, "fork": olympiadbench.fork}[mode](rows)


def _disagreements(mode: str, pairs: Sequence[dict[str, object]]) -> set[object]:
    rows = [ScoreRow.model_validate({key: pair[key] for key in _ROW_KEYS}) for pair in pairs]
    verdicts = _score(mode, rows)
    return {
        pair["id"] for pair, verdict in zip(pairs, verdicts, strict=True) if pair[mode] != verdict.correct
    }


def _one(mode: str, gold: str, response: str, **fields: str) -> Scored:
    return _score(mode, [ScoreRow(id="1", gold=gold, response=response, **fields)])[0]


@pytest.mark.parametrize("mode", ["official", "fork"])
def test_two_pairs_of_each_class_get_the_programs_verdicts(mode: str) -> None:
    pairs = [pair for pair in PAIRS if pair["id"][-2:] in ("00", "01")]
    assert _disagreements(mode, pairs) <= EXCEPTIONS[mode]


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["official", "fork"])
def test_every_pair_gets_the_programs_verdict_but_for_the_listed_exceptions(mode: str) -> None:
    assert _disagreements(mode, PAIRS) == EXCEPTIONS[mode]


def test_the_corpus_has_forty_pairs_of_each_class_and_half_of_them_are_telling() -> None:
    sizes = {name: sum(pair["class"] == name for pair in PAIRS) for name in {pair["class"] for pair in PAIRS}}
    telling = [p for p in PAIRS if len({p["truth"], p["official"], p["fork"]}) == 2]
    assert len(PAIRS) >= 2600 and min(sizes.values()) >= 40 and len(telling) >= len(PAIRS) / 2


def test_the_fork_swallows_the_comparison_of_values() -> None:
    response = r"So the final answer is \boxed{0.5}."
    assert [_one(mode, r"$\frac{1}{2}$", response).correct for mode in ("official", "fork")] == [True, False]


def test_the_fork_still_sees_multiples_of_an_equation() -> None:
    assert _one("fork", "x+2y=3", r"\boxed{2x+4y=6}").method == "equation"


def test_official_reads_after_the_last_sentence_where_the_fork_joins_all_boxes() -> None:
    response = r"Say \boxed{4}. So the final answer is \boxed{3}."
    assert [_one(mode, "3", response).extracted for mode in ("official", "fork")] == ["3", "4,3"]


def test_the_sentence_is_looked_for_in_the_language_of_the_question() -> None:
    response = "2不对。所以最终答案是3。"
    assert _one("official", "3", response, language="Chinese").correct
    assert not _one("official", "3", response, language="English").correct


def test_the_fork_rejects_boxes_of_more_than_a_hundred_characters() -> None:
    answer = "+".join(["x"] * 51)
    verdict = _one("fork", answer, rf"\boxed{{{answer}}}")
    assert (verdict.correct, verdict.reason) == (False, "longer than 100 characters")


def test_an_unclosed_box_is_wrong_in_both() -> None:
    reasons = {_one(mode, "3", r"\boxed{3} and \boxed{3").reason for mode in ("official", "fork")}
    assert reasons == {"a box is not closed"}


def test_no_answer_equals_any_chinese_answer() -> None:
    assert _one("fork", "存在", "I do not know.").correct


def test_hundredfold_is_accepted_by_both() -> None:
    assert all(_one(mode, "3", r"\boxed{300}").correct for mode in ("official", "fork"))


def test_tolerances_follow_the_order_of_the_prediction() -> None:
    assert _one("official", "2.0,100", r"\boxed{2.0,100.5}", error="0.01,1").correct
    assert not _one("official", "2.0,100", r"\boxed{100.5,2.0}", error="0.01,1").correct


def test_fewer_tolerances_than_answers_end_the_program() -> None:
    assert not _one("official", "1,2,3", r"\boxed{3,2,1}", error="0.1,0.1").correct


def test_only_the_first_gold_entry_is_asked_for() -> None:
    row = ScoreRow(id="1", gold=("2", "3"), response=r"\boxed{2}")
    assert olympiadbench.official([row])[0].correct


def test_a_derivative_is_read_as_sympy_reads_it() -> None:
    assert _one("official", r"\frac{dy}{dx}+1", r"\boxed{1+\frac{dy}{dx}}").correct


def test_a_tower_of_powers_is_wrong_at_the_deadline() -> None:
    verdict = _one("official", "x", r"\boxed{x+10^{10^{10}}}")
    assert not verdict.correct and verdict.reason.startswith("no comparison")


@pytest.mark.parametrize(
    "text", [r"\boxed{" * 100_000 + "}" * 100_000, r"\boxed{" + r"\mathrm{" * 100_000 + "}" * 100_001]
)
def test_a_megabyte_of_boxes_is_wrong_at_once(text: str) -> None:
    assert not _one("official", "3", text).correct and not _one("fork", "3", text).correct


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    _one("official", "2x+1", r"\boxed{1+2x}")
    assert capfd.readouterr() == ("", "")

"""Every answer is hostile: it is judged in time, in little memory, and wrong."""

import os
import time

import pytest

from spica.answers import compare
from spica.answers.compare import Decision, decide
from spica.answers.score import score
from spica.answers.types import ScoreRow
from spica.artifacts.types import Gold

from .hostile_answers import GOLDS, hostile_answers


def test_none_of_five_hundred_hostile_answers_hangs_or_is_accepted() -> None:
    answers = hostile_answers()
    assert len(answers) >= 500
    rows = [
        ScoreRow(id=str(number), response=f"\\boxed{{{answer}}}", gold=GOLDS[number % len(GOLDS)])
        for number, answer in enumerate(answers)
    ]
    started = time.process_time()
    scored = score(rows, "math")
    assert [row.extracted for row in scored if row.correct] == []
    assert time.process_time() - started < 30
    assert not os.path.exists("/tmp/pwned")


def seconds(answer: str, value: str) -> tuple[Decision, float]:
    started = time.process_time()
    decision = decide(answer, Gold(kind="math", value=value))
    return decision, time.process_time() - started


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("1 a" + (" " * 30 + "a") * 5 + " +", "1"),
        ("1 a" + (" " * 190 + "a") * 5 + " +", "1"),
        ("g(" * 12 + "1" + "+1" * 400 + ")" * 12, "1"),
        ("g(" * 18 + "1+1" + ")" * 18, "1"),
    ],
    ids=["blanks", "many blanks", "calls", "calls within calls"],
)
def test_a_long_answer_is_read_in_one_pass(answer: str, gold: str) -> None:
    decision, taken_s = seconds(answer, gold)
    assert not decision.correct
    assert taken_s < 30


def test_any_number_of_signs_is_read() -> None:
    assert seconds("2*" + "-" * 990 + "1", "2")[0].correct
    assert seconds("2*" + "-" * 989 + "1", "-2")[0].correct


@pytest.mark.parametrize(
    ("answer", "gold"),
    [("n=10^{400}", "n=3"), ("n > 10^{400}", "n > 1"), ("10^{400} n > 3", "n>3"), ("n n > 10^{400}", "n>1")],
)
def test_a_number_beyond_all_floats_has_no_value(answer: str, gold: str) -> None:
    decision = seconds(answer, gold)[0]
    assert (decision.correct, decision.method) == (False, "value")


def test_an_option_is_compared_with_a_number_beyond_all_floats() -> None:
    gold = Gold(kind="letter", value="A", options=("n=1", "n=2"))
    assert not decide("n=10^{400}", gold).correct


@pytest.mark.parametrize("fault", [RecursionError, OverflowError])
def test_an_unforeseen_limit_makes_an_answer_wrong(
    fault: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def parse(text: str, thousands: bool = True) -> None:
        raise fault("so deep")

    monkeypatch.setattr(compare, "parse", parse)
    decision = decide("1+1", Gold(kind="math", value="3"))
    assert (decision.correct, decision.method) == (False, "unparsable")

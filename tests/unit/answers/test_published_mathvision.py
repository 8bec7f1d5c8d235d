"""MATH-V's program and the authors' own scoring of MathVision, defects included."""

import json
import time
from pathlib import Path

import pytest

from spica.answers.published import mathvision
from spica.answers.published.mathvision_latex import rounded
from spica.answers.published.mathvision_values import Unreadable
from spica.answers.types import ScoreRow

CORPUS = Path(__file__).parents[2] / "data" / "verdicts" / "mathvision.jsonl"


def pairs() -> list[dict[str, object]]:
    return [json.loads(line) for line in CORPUS.read_text(encoding="utf-8").splitlines()]


def row(response: str, gold: str, *options: str) -> ScoreRow:
    return ScoreRow(id="1", response=response, gold=gold, options=options)


def official(response: str, gold: str, *options: str) -> bool:
    return mathvision.official([row(response, gold, *options)])[0].correct


def test_an_item_of_too_many_digits_is_left_as_it_is() -> None:
    assert not official(r"\boxed{(10^{5000},1)}", "(1,2)")


@pytest.mark.parametrize("text", ["3^{400000}" * 16, r"\frac{1}{" + "3^{400000}" * 16 + "}"])
def test_a_product_of_powers_is_not_computed_beyond_the_cap(text: str) -> None:
    started = time.process_time()
    with pytest.raises(Unreadable):
        rounded(text)
    assert time.process_time() - started < 30


def test_official_gives_the_verdict_of_the_published_program_on_every_pair() -> None:
    made = pairs()
    rows = [
        ScoreRow.model_validate({key: pair[key] for key in ScoreRow.model_fields if key in pair})
        for pair in made
    ]
    scored = mathvision.official(rows)
    differing = [
        pair["id"]
        for pair, verdict in zip(made, scored, strict=True)
        if (verdict.correct, verdict.extracted) != (pair["official"], pair["extracted"])
    ]
    assert len(made) >= 1400
    assert differing == []


def test_the_fork_joins_boxes_as_the_published_program_on_every_pair() -> None:
    assert [
        pair["id"]
        for pair in pairs()
        if mathvision.joined_boxes(str(pair["response"])) != pair["fork_extracted"]
    ] == []


class Judge:
    """Says what it is told to, and keeps what it was asked."""

    def __init__(self, *replies: str) -> None:
        self.replies = list(replies)
        self.asked: list[str] = []

    def ask(self, prompt: str, number: int = 0) -> str:
        self.asked.append(prompt)
        return self.replies.pop(0)


def test_two_decimals_are_enough_for_the_official_program() -> None:
    assert official(r"\boxed{0.33}", r"\frac{1}{3}")


def test_an_option_value_stands_for_its_letter() -> None:
    assert official(r"The answer is \boxed{12}", "B", "10", "12")


def test_a_mixed_number_is_a_product_to_the_official_program() -> None:
    assert not official(r"\boxed{2\frac{1}{3}}", r"\frac{7}{3}")


def test_a_gold_that_names_no_option_ends_the_program_and_is_no_guess_here() -> None:
    assert mathvision.official([row("A", "F", "1", "2")])[0].method == "gold_unparsed"


@pytest.mark.parametrize(
    ("latex", "value"),
    [
        ("1,000", 1000),
        (r"60\%", 0.6),
        ("1:2", 0.5),
        (r"4\pi", 12.57),
        ("60)", 60),
        ("12 trees", 12),
        (r"-\frac{1}{2\sqrt{3}}", -0.87),  # Read as -1/2*sqrt(3).
        ("x=3", 3),
        (r"\sin^{-1}(1)", 1.57),
        (r"\log_2 8", 3),
        ("2^3^2", 64),
        (r"\binom{5}{2}", 10),
    ],
)
def test_a_number_is_what_the_program_computes(latex: str, value: float) -> None:
    assert rounded(latex) == value


@pytest.mark.parametrize(
    "latex",
    [
        "60cm",
        r"\frac12",
        r"\ln 8",
        "|3|",
        "3,4",
        "60%",
        "1e3",
        "3-",
        r"\frac{360}7",
        "e",
        "(4/2)!",
        "(-8)^{1/3}",
    ],
)
def test_a_text_on_which_the_program_fails_has_no_value(latex: str) -> None:
    with pytest.raises(Unreadable):
        rounded(latex)


def test_the_fork_shows_the_judge_all_boxes_with_a_comma_after_each() -> None:
    judge = Judge("1")
    scored = mathvision.fork([row(r"\boxed{4} so \boxed{4}", "4")], judge)[0]
    assert (scored.correct, scored.extracted, scored.method) == (True, "4,4,", "judge")
    assert "4,4," in judge.asked[0]


def test_the_fork_is_unjudged_without_a_judge() -> None:
    scored = mathvision.fork([row(r"\boxed{4}", "4")])[0]
    assert (scored.correct, scored.method) == (False, "unjudged")


@pytest.mark.parametrize(
    "hostile",
    [
        "9^{9^{9^{9}}}",
        "((((" * 100_000,
        "{" * 1_000_000,
        r"\frac{" * 50_000,
        "1" * 1_000_000,
        r"\boxed{" * 100_000,
        "9" * 1900 + "!",
        "__import__('os').system('true')",
        "-" * 1_999 + "1",
        "\\sqrt" * 200_000,
        "(1)_{" * 200_000,
        "1+" * 900 + "1",
    ],
)
def test_a_hostile_answer_is_wrong_and_does_not_hang(hostile: str) -> None:
    started = time.process_time()
    assert not official(rf"\boxed{{{hostile}}}", "7")
    assert time.process_time() - started < 30

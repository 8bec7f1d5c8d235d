"""MathVerse's published scoring and the authors' own: what the judge is shown and how its words are read."""

import json
from collections import Counter
from pathlib import Path

import pytest

from spica.answers import judging
from spica.answers.judging import MAX_TRIES
from spica.answers.published import mathverse
from spica.answers.types import ScoreRow

CORPUS = Path(__file__).parents[2] / "data" / "verdicts" / "mathverse.jsonl"
ROWS = [json.loads(line) for line in CORPUS.read_text(encoding="utf-8").splitlines()]


class Judge:
    """Says what it is told to, then nothing; keeps what it was asked."""

    def __init__(self, *replies: str) -> None:
        self.replies = list(replies)
        self.asked: list[str] = []

    def ask(self, prompt: str, number: int = 0) -> str:
        self.asked.append(prompt)
        return self.replies.pop(0) if self.replies else ""


def row(response: str, gold: str = "B", question: str = "Which line is longest?") -> ScoreRow:
    return ScoreRow(id="1", response=response, gold=gold, question=question)


def of_kind(kind: str) -> list[dict[str, object]]:
    return [made for made in ROWS if made["kind"] == kind]


def test_every_class_of_the_corpus_is_large_enough() -> None:
    assert min(Counter((made["kind"], made["class"]) for made in ROWS).values()) >= 40


def test_the_judge_is_shown_what_the_published_programs_show_it() -> None:
    differing = [
        made["id"]
        for made in of_kind("input")
        if judging.last_words(str(made["response"])) != made["official"]
        or judging.last_words(mathverse.cut(str(made["response"]))) != made["fork"]
    ]
    assert differing == []


def test_an_extraction_is_read_as_the_published_programs_read_it() -> None:
    for made in of_kind("extraction"):
        scored = mathverse.official([row("x")], Judge(*made["replies"], "1"))[0]  # type: ignore[misc]  # JSON
        assert scored.extracted == made["official"], made["id"]


def test_a_judgement_is_read_as_the_published_programs_read_it() -> None:
    for made in of_kind("judgement"):
        judge = Judge("7", *made["replies"])  # type: ignore[misc]  # JSON
        scored = mathverse.fork([row("x", str(made["gold"]), str(made["question"]))], judge)[0]
        read = None if scored.method == "unjudged" else scored.correct
        assert read == made["official"], made["id"]


def test_a_judge_that_never_says_0_or_1_is_asked_so_often_and_no_more() -> None:
    judge = Judge("7", *["perhaps"] * 99)
    scored = mathverse.official([row("x")], judge)[0]
    assert (scored.correct, scored.method, len(judge.asked)) == (False, "unjudged", 1 + MAX_TRIES)


def test_without_a_judge_every_row_is_unjudged() -> None:
    for scored in (*mathverse.official([row(r"\boxed{B}")]), *mathverse.fork([row(r"\boxed{B}")])):
        assert (scored.correct, scored.method) == (False, "unjudged")


@pytest.mark.parametrize(
    ("response", "left"),
    [
        (r"\boxed{\frac{1}{2}}", r"\frac{1"),
        (r"\boxed{\text{B}}", r"\text{B"),
        (r"\boxed{3} or rather \boxed{4}", "4"),
        ("<|begin_of_solution|>\n\nIt is B.\n\n<|end_of_solution|>", "It is B."),
        ("It is B.", "It is B."),
    ],
)
def test_the_authors_program_cuts_the_box_at_the_first_brace(response: str, left: str) -> None:
    assert mathverse.cut(response) == left


def test_question_gold_and_extraction_are_put_before_the_judge() -> None:
    judge = Judge("Extracted Answer: the second", "1")
    scored = mathverse.official([row("so it is the second")], judge)[0]
    assert (scored.correct, scored.extracted) == (True, "the second")
    assert all(text in judge.asked[1] for text in ("Which line is longest?", "B", "the second"))

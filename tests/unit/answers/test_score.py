"""Rows scored: what is read out of a response, which gold is meant, when a judge is asked."""

import pytest

from spica.answers.final import final_answer
from spica.answers.gold import gold_of, options_in
from spica.answers.score import score
from spica.answers.types import Judged, Scored, ScoreRow
from spica.errors import PrerequisiteError


def one(
    response: str,
    gold: str | tuple[str, ...],
    benchmark: Judged = "math",
    judge: "Judge | None" = None,
    **more: object,
) -> Scored:
    row = ScoreRow.model_validate({"id": "1", "response": response, "gold": gold, **more})
    return score([row], benchmark, "repaired", judge)[0]


class Judge:
    """Replies in turn."""

    def __init__(self, *replies: str) -> None:
        self.replies, self.prompts = list(replies), list[str]()

    def ask(self, prompt: str, number: int = 0) -> str:
        self.prompts.append(prompt)
        return self.replies.pop(0)


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (r"so \boxed{7}", "7"),
        (r"\boxed{1} and \boxed{2}", "1, 2"),
        (r"\boxed{3} \text{ or } \boxed{4}", "3, 4"),
        (r"first \boxed{3}, no: \boxed{4}", "4"),
        (r"\boxed{3}. Wait, it is \boxed{4}", "4"),
        (r"\boxed{7}, that is \boxed{7}", "7"),
        (r"x_1 = \boxed{1}, x_2 = \boxed{2}", "1, 2"),
        ("The final answer is $12$. I hope it is correct.", "12"),
        ("**Answer:** 12", "12"),
        ("so it is 4. 所以最终答案是 $5$。", "5"),
        ("We find $x = 3$ and so $y = 4$", "y = 4"),
        (r"Thus \fbox{8}.", "8"),
        (r"We get \frac{11}{5}", r"\frac{11}{5}"),
        ("It is between 10 and 20", "It is between 10 and 20"),
        ("", None),
    ],
)
def test_the_final_answer_is_found_with_and_without_a_box(response: str, expected: str | None) -> None:
    assert final_answer(response, words=False) == expected


@pytest.mark.parametrize(
    ("response", "letter"),
    [
        ("B", "B"),
        ("**B**", "B"),
        ("B. two", "B"),
        ("B: two", "B"),
        ("the answer is (B)", "B"),
        ("(A) is wrong because of the first line, so it is (B).", "B"),
        ("(B) is right; (A) is wrong.", "B"),
        ("B because A is too small", "B"),
        ("As computed above:\nB", "B"),
        ("Because of the lens: (b)", "B"),
        ("Not A because of the gear, rather B it is.", "B"),
        ("It must be two", "B"),
        (r"\boxed{B}", "B"),
        (r"\boxed{two}", "B"),
    ],
)
def test_a_choice_is_found_in_a_response(response: str, letter: str) -> None:
    assert one(response, letter, "mmmu", options=["one", "two", "three"]).correct


@pytest.mark.parametrize("response", ["I cannot tell.", "A or B", "Neither A nor B nor C fits", ""])
def test_a_response_that_names_no_choice_is_wrong_and_never_drawn(response: str) -> None:
    for letter in "ABC":
        assert not one(response, letter, "mmmu", options=["one", "two", "three"]).correct


def test_the_options_of_mathverse_stand_in_its_question() -> None:
    question = "Find the angle.\nChoices:\nA:30°\nB:40°\nC:50°"
    assert options_in(question) == ("30°", "40°", "50°")
    assert one(r"\boxed{40^\circ}", "B", "mathverse", question=question).correct
    assert not one(r"\boxed{50^\circ}", "B", "mathverse", question=question).correct


def test_olympiadbench_asks_for_all_gold_answers_and_mmmu_for_one() -> None:
    assert one(r"\boxed{2, 1}", ("1", "2"), "olympiadbench").correct
    assert not one(r"\boxed{2}", ("1", "2"), "olympiadbench").correct
    assert one(r"\boxed{Florida}", ("Orlando", "Florida"), "mmmu").correct


@pytest.mark.parametrize("gold", [r"$\boxed{\frac{4}{9}}$", "\x0crac{4}{9}", r"\frac49", r" \frac{4}{9} "])
def test_noise_in_a_gold_answer_is_read_over(gold: str) -> None:
    assert one(r"\boxed{\dfrac{8}{18}}", gold, "mathvision").correct
    assert gold_of(ScoreRow(id="1", response="", gold=gold), "mathvision").kind == "math"


@pytest.mark.parametrize("gold", [r"\frac{1", "", "((", "{{{7"])
def test_a_gold_answer_that_does_not_parse_is_said_so_and_the_row_is_kept(gold: str) -> None:
    scored = one(r"\boxed{7}", gold)
    assert (scored.correct, scored.method) == (False, "gold_unparsed")
    assert "gold" in scored.reason


def test_mathverse_asks_the_judge_only_where_words_must_be_judged() -> None:
    judge = Judge("1")
    assert one(r"\boxed{3}", "3", "mathverse", judge).method == "number"
    assert one(r"\boxed{4}", "3", "mathverse", judge).method == "value"
    assert one(r"\boxed{B}", "A", "mathverse", judge, question="Choices:\nA:1\nB:2").method == "letter"
    assert judge.prompts == []
    scored = one(r"\boxed{it gets steeper}", "the slope rises", "mathverse", judge)
    assert (scored.correct, scored.method, len(judge.prompts)) == (True, "judge", 1)


def test_without_a_judge_or_a_verdict_of_it_words_are_unjudged() -> None:
    response = r"\boxed{it gets steeper}"
    assert one(response, "the slope rises", "mathverse").method == "unjudged"
    assert one(response, "the slope rises", "mathverse", Judge("well", "", "0 or 1")).method == "unjudged"
    assert not one(response, "the slope rises", "mathverse", Judge("0")).correct


def test_an_empty_response_to_mathverse_needs_no_judge() -> None:
    scored = one(" ", "the slope rises", "mathverse")
    assert (scored.correct, scored.method) == (False, "empty")


@pytest.mark.parametrize(
    "response",
    [
        "The answer is a triangle, not (B)",
        "It is a triangle and not option B.",
        "It isn't (B).",
        "A circle rather than B",
    ],
)
def test_a_letter_that_is_denied_is_not_chosen(response: str) -> None:
    assert not one(response, "B", "mathvision", options=("circle", "square", "triangle")).correct


def test_a_mode_that_was_never_published_is_refused() -> None:
    with pytest.raises(PrerequisiteError, match="ever published"):
        score([], "mmmu", "fork")

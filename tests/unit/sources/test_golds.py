import pytest

from spica.artifacts.types import Gold
from spica.sources.draft import BadRowError
from spica.sources.golds import keep_gold, parse_gold
from spica.sources.official import official_gold


@pytest.mark.parametrize(
    ("answer", "kind", "value"),
    [
        ("7", "number", "7"),
        ("7.", "number", "7"),
        ("The answer is 7", "number", "7"),
        ("The answer is: 7.", "number", "7"),
        ("Answer: -3.5", "number", "-3.5"),
        ("The answer is $38.51", "number", "38.51"),
        ("1,234,567", "number", "1234567"),
        ("45°", "number", "45"),
        ("$45^{\\circ}$", "number", "45"),
        ("45 degrees", "number", "45"),
        ("5 cm", "number", "5"),
        ("60%", "number", "60%"),
        ("1/2", "number", "1/2"),
        (".5", "number", ".5"),
        ("Yes.", "yes_no", "yes"),
        ("The answer is no", "yes_no", "no"),
        ("C", "letter", "C"),
        ("The answer is Cylindrical", "text", "cylindrical"),
        ("$\\frac{1}{2}$", "text", "\\frac{1}{2}"),
        ("10 PM", "text", "10 pm"),
        ("Since a || b, angle 2 is 58 degrees.\nAnswer: 58°", "number", "58"),
        ("2 and 3", "text", "2 and 3"),
    ],
)
def test_open_answers_are_typed(answer: str, kind: str, value: str) -> None:
    assert parse_gold(answer) == Gold(kind=kind, value=value)


@pytest.mark.parametrize(
    "answer",
    [
        "B",
        "B.",
        "(B)",
        "The answer is B",
        "Answer: B",
        "(B) 7 cm",
        "B. 7 cm",
        "B:7 cm",
        "7 cm",
        "The answer is 7 cm",
        "b",
        "(b)",
        "Since the sides are equal, it is 7 cm. Answer: B",
    ],
)
def test_answers_to_choices_become_the_letter(answer: str) -> None:
    assert parse_gold(answer, ("3 cm", "7 cm", "0 cm")) == Gold(
        kind="letter", value="B", options=("3 cm", "7 cm", "0 cm")
    )


@pytest.mark.parametrize("answer", ["9", "D", "(A) 7", "B and C"])
def test_an_answer_that_is_none_of_the_options_is_refused(answer: str) -> None:
    with pytest.raises(BadRowError, match=r"names none of the options A\.\.C"):
        parse_gold(answer, ("3", "7", "0"))


def test_a_value_that_two_options_share_is_refused() -> None:
    with pytest.raises(BadRowError, match="two alike"):
        parse_gold("7", ("7", "7", "0"))


@pytest.mark.parametrize("answer", ["", " . ", "The answer is", "x" * 501])
def test_empty_and_overlong_answers_are_refused(answer: str) -> None:
    with pytest.raises(BadRowError, match="1 to 500 characters"):
        parse_gold(answer)


def test_an_answer_that_cannot_be_typed_is_kept_with_the_reason() -> None:
    gold, meta = keep_gold("the ninth", ("3", "7"))
    assert gold == Gold(kind="text", value="the ninth")
    assert meta == {"gold_unparsed": "answer 'the ninth' names none of the options A..B, or two alike"}
    assert keep_gold("7") == (Gold(kind="number", value="7"), {})


def test_a_formula_of_a_benchmark_that_cannot_be_read_is_kept_with_the_reason() -> None:
    gold, meta = official_gold("\\frac{1")
    assert gold == Gold(kind="math", value="\\frac{1")
    assert "is no mathematics" in meta["gold_unparsed"]
    assert official_gold("\\frac{1}{2}") == (Gold(kind="math", value="\\frac{1}{2}"), {})

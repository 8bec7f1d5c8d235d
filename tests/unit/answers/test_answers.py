import time

import pytest

from spica.answers import equal, extract, join_response, judge
from spica.artifacts.types import Gold


def solution(text: str, thought: str = "c4;+h9;") -> str:
    return (
        f"<|begin_of_thought|>\n\n{thought}\n\n<|end_of_thought|>\n\n"
        f"<|begin_of_solution|>\n\n{text}\n\n<|end_of_solution|>"
    )


def letter(value: str, *options: str) -> Gold:
    return Gold(kind="letter", value=value, options=options)


def number(value: str) -> Gold:
    return Gold(kind="number", value=value)


def text(value: str) -> Gold:
    return Gold(kind="text", value=value)


def yes_no(value: str) -> Gold:
    return Gold(kind="yes_no", value=value)


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (solution(r"\boxed{7}"), "7"),
        (solution(r"\boxed{\frac{1}{2}}"), r"\frac{1}{2}"),
        (solution(r"first \boxed{3}, no: \boxed{4}"), "4"),
        (solution(r"\boxed{7}", thought=r"maybe \boxed{9}"), "7"),
        (solution("seven", thought=r"so \boxed{7}"), "7"),
        (solution(r"\boxed{7}") + r" and \boxed{8}", "7"),
        (r"no blocks at all, \boxed{5}", "5"),
        (solution(r"\boxed {7}"), "7"),
        (solution(r"\fbox{7}"), None),
        (solution(r"\boxed{\{1, 2\}}"), r"\{1, 2\}"),
        (solution(r"\boxed{7} and then \boxed{\frac{1"), "7"),
        (solution(r"\boxed{7"), None),
        (solution(r"{ \boxed{7} } }"), "7"),
        (solution(r"\boxed{ \boxed{7} }"), "7"),
        (solution(r"\boxed{ 7 }"), "7"),
        (solution(r"\boxed{}"), ""),
        ("<|begin_of_solution|>\n\n\\boxed{6}", "6"),
        ("", None),
        (solution("7"), None),
    ],
)
def test_the_last_balanced_box_of_the_solution_is_read(response: str, expected: str | None) -> None:
    assert extract(response) == expected


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("7", number("7")),
        (" 7. ", number("7")),
        ("$7$", number("7")),
        (r"\text{7}", number("7")),
        ("7.0", number("7")),
        (r"\frac{1}{2}", number("0.5")),
        (r"\dfrac12", number("0.5")),
        (r"-\frac{3}{4}", number("-0.75")),
        ("1/3", number("0.333333")),
        (r"2\frac{1}{3}", number("2.3333333")),
        ("1,260", number("1260")),
        ("1{,}260", number("1260")),
        (r"1\,260", number("1260")),
        (r"45^{\circ}", number("45")),
        (r"45^\circ", number("45")),
        ("45°", number("45")),
        ("45 degrees", number("45")),
        (r"45\text{ degrees}", number("45")),
        ("45", number("45{degrees}")),
        (r"60\%", number("60")),
        ("60%", number("0.6")),
        ("0.6", number("60%")),
        (r"60\text{ cm}", number("60")),
        (r"60\mathrm{~cm}^2", number("60")),
        ("60 cm", number("60")),
        (r"\$12.50", number("12.5")),
        ("x = 7", number("7")),
        ("\u22127", number("-7")),
        (r"3 \times 10^{5}", number("300000")),
        ("1e3", number("1000")),
        (".5", number("0.5")),
        ("1e-10", number("0")),
        ("B", letter("B")),
        ("b", letter("B")),
        ("(B)", letter("B")),
        (r"\text{B}", letter("B")),
        (r"\textbf{(B)}", letter("B")),
        ("**B**", letter("B")),
        ("B.", letter("B")),
        ("B. 12", letter("B", "7", "12")),
        ("(B) 12", letter("B", "7", "12")),
        ("Option B", letter("B")),
        ("Answer: B", letter("B")),
        ("12", letter("B", "7", "12")),
        ("12.0", letter("B", "7", "12")),
        (r"12\text{ cm}", letter("B", "7 cm", "12 cm")),
        ("a square", letter("C", "a circle", "a triangle", "a square")),
        ("The B", letter("B")),
        ("the option B", letter("B")),
        ("the circle", letter("B", "a square", "circle")),
        ("12 cm", letter("B", "7 cm", "12 cm")),
        ("12", letter("B", "7 cm", "12 cm")),
        ("12 cm", letter("B", "7", "12")),
        ("yes", yes_no("yes")),
        ("Yes.", yes_no("yes")),
        (r"\text{No}", yes_no("no")),
        ("True", yes_no("yes")),
        ("Yes, both are.", yes_no("yes")),
        ("Dark Blue", text("dark blue")),
        (r"\text{dark blue.}", text("dark blue")),
        ("the dark blue", text("dark blue")),
        ("5 km", text("5 km")),
        (r"5\text{ meters}", text("5 m")),
        ("5 feet", text("5 ft")),
        (r"60\mathrm{~cm}^2", text("60 cm²")),
        ("60 cm^{2}", text("60cm^2")),
        (r"2\sqrt 3", text(r"2\sqrt{3}")),
        (r"\left(1, 2\right)", text("(1,2)")),
        (r"\frac{\pi}{2}", text(r"\pi/2")),
        ("0.5", text("1/2")),
    ],
)
def test_an_answer_equals_the_gold(answer: str, gold: Gold) -> None:
    assert equal(answer, gold)


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("", number("7")),
        ("8", number("7")),
        ("-7", number("7")),
        ("7.001", number("7")),
        ("3", number("300")),
        ("0.6", number("60")),
        ("1/0", number("0")),
        ("9" * 400, number("9" * 399)),
        ("1e999", number("1e998")),
        ("0", number("6.6e-34")),
        ("2x=7", number("7")),
        ("7 or 8", number("7")),
        ("__import__('os')", number("7")),
        ("7", letter("B", "7", "12")),
        ("A", letter("B", "7", "12")),
        ("A, B", letter("A")),
        ("A and B", letter("A")),
        ("12", letter("B")),
        ("", letter("B", "7", "")),
        ("D=5", letter("D")),
        ("A, B, C, D", letter("A", "7", "12")),
        ("A or 7", letter("A", "8", "7")),
        ("a circle", letter("A", "a square", "a ring")),
        ("yes or no", yes_no("yes")),
        ("No idea", yes_no("no")),
        ("no", yes_no("yes")),
        ("maybe", yes_no("yes")),
        ("red", text("blue")),
        ("5 km", text("5 m")),
        (r"5\text{ km}", text("5 m")),
        ("5 s", text("5 g")),
        ("60 cm", text("60 cm^2")),
        ("60 cm^3", text("60 cm^2")),
        ("5 m", letter("B", "5 m", "5 km")),
        ("5 m", letter("B", "7 km", "5 km")),
        ("theory", text("ory")),
        ("", text("blue")),
        (r"\frac{a+b}{2}", text("a+b/2")),
        ("7" * 1_000_000, number("7")),
    ],
)
def test_an_answer_differs_from_the_gold(answer: str, gold: Gold) -> None:
    assert not equal(answer, gold)


@pytest.mark.parametrize(
    ("response", "finish_reason", "verdict"),
    [
        (solution(r"\boxed{7}"), "stop", "correct"),
        (solution(r"\boxed{8}"), "stop", "wrong"),
        (solution("7"), "stop", "no_box"),
        (solution(r"\boxed{7}"), "length", "no_end"),
        (" \n", "stop", "empty"),
        ("", "length", "empty"),
    ],
)
def test_a_response_gets_its_verdict(response: str, finish_reason: str, verdict: str) -> None:
    assert judge(response, finish_reason, number("7")) == verdict


@pytest.mark.parametrize(
    "response",
    [
        "\\boxed{" * 150_000,
        "\\boxed{" + "7" * 1_000_000 + "}",
        "{" * 500_000 + "}" * 500_000,
        "\\boxed" + " " * 1_000_000,
        "<|begin_of_solution|>" * 50_000,
    ],
)
def test_a_hostile_megabyte_does_not_hang(response: str) -> None:
    started = time.process_time()
    assert judge(response, "stop", number("7")) == "no_box"
    assert time.process_time() - started < 30


@pytest.mark.parametrize(
    "answer", ["(" * 1000, "1," * 500, "\\text{" * 166, "a" * 999 + "=", " " * 1000, "\\frac" * 200]
)
def test_a_hostile_answer_does_not_hang(answer: str) -> None:
    started = time.process_time()
    for gold in (number("7"), letter("B", "7", "12"), text("blue"), yes_no("yes")):
        assert not equal(answer, gold)
    assert time.process_time() - started < 30


def test_a_thought_and_a_solution_join_in_the_format_of_the_paper() -> None:
    assert join_response("think\n", "\n\\boxed{7}") == (
        "<|begin_of_thought|>\n\nthink\n\n<|end_of_thought|>\n\n"
        "<|begin_of_solution|>\n\n\\boxed{7}\n\n<|end_of_solution|>"
    )

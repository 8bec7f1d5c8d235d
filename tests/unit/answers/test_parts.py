import pytest

from spica.answers.parts import has_thought, join_response, split_response, thought_span


@pytest.mark.parametrize(
    ("response", "thought", "solution"),
    [
        (
            "<|begin_of_thought|>\n\na\n\n<|end_of_thought|>\n\n<|begin_of_solution|>\n\nb\n\n<|end_of_solution|>",
            "a",
            "b",
        ),
        ("b", "", "b"),
        ("<|begin_of_solution|>b<|end_of_solution|>", "", "b"),
        ("<|begin_of_thought|>a", "a", ""),
        ("a<|end_of_thought|>b", "a", "b"),
        ("<|begin_of_thought|>a<|begin_of_solution|>b", "a", "b"),
        ("<|begin_of_thought|>a<|end_of_thought|>b<|end_of_solution|>", "a", "b"),
        ("<|begin_of_thought|>a<|end_of_thought|><|begin_of_solution|>b<|end_of_solution|>c", "a", "b"),
        ("", "", ""),
    ],
    ids=[
        "all markers",
        "no marker",
        "solution only",
        "cut inside the thought",
        "no opening marker",
        "thought not closed",
        "solution not opened",
        "text after the end",
        "empty",
    ],
)
def test_a_response_is_split_at_the_markers_there_are(response: str, thought: str, solution: str) -> None:
    assert split_response(response) == (thought, solution)


BEGIN, END = "<|begin_of_thought|>", "<|end_of_thought|>"


@pytest.mark.parametrize(
    ("response", "thought"),
    [
        (f"{BEGIN}ab{END}<|begin_of_solution|>c", "ab"),
        (f"{BEGIN}ab", "ab"),
        (f"{BEGIN}ab<|begin_of_solution|>c", "ab"),
        (f"ab{END}c", "ab"),
        (f"so: {BEGIN}ab{END}", "ab"),
        ("c", ""),
        (f"c<|begin_of_solution|>d{BEGIN}e", ""),
    ],
)
def test_the_span_of_a_thought_leaves_its_markers_out(response: str, thought: str) -> None:
    begin, end = thought_span(response)
    assert response[begin:end] == thought


WHOLE = join_response("c4;", "\\boxed{4}")


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (WHOLE, True),
        ("\\boxed{4}", False),
        (WHOLE.partition(END)[2], False),
        (WHOLE.replace("<|end_of_solution|>", ""), False),
        (WHOLE + "<|end_of_solution|>", False),
        (WHOLE.replace("c4;", f"c4;{END}{BEGIN}"), False),
        ("<|begin_of_solution|>a<|end_of_solution|><|begin_of_thought|>b<|end_of_thought|>", False),
        (join_response(" ", "\\boxed{4}"), False),
        (join_response("c4;", ""), False),
    ],
    ids=[
        "whole",
        "no marker",
        "no thought",
        "no end",
        "two ends",
        "two thoughts",
        "solution first",
        "empty thought",
        "empty solution",
    ],
)
def test_the_form_of_the_paper_has_each_marker_once_in_order(response: str, expected: bool) -> None:
    assert has_thought(response) is expected

import pytest

from spica.serve.thought import split_response


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

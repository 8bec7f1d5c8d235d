import numpy as np
import pytest

from spica.miniature.world import (
    MODALITIES,
    PREFIX,
    Problem,
    Scene,
    parse_prompt,
    respond,
    sample_problem,
    sample_slip,
    short_response,
)

SCENE = Scene((("c", 4), ("h", 9), ("g", 6), ("a", 0)), "table")
TERMS = ((1, "c"), (1, "h"), (-1, "g"))
OPEN = Problem(SCENE, TERMS)
CHOICE = Problem(SCENE, TERMS, (3, 7, 0, 5))


def _response(thought: str, box: str) -> str:
    return (
        f"<|begin_of_thought|>\n\n{thought}\n\n<|end_of_thought|>\n\n"
        f"<|begin_of_solution|>\n\n\\boxed{{{box}}}\n\n<|end_of_solution|>"
    )


def test_a_thought_reads_one_entry_and_does_one_step_at_a_time() -> None:
    assert respond(OPEN) == _response("c4;+h9;4+9=3;-g6;3-6=7;", "7")


def test_a_thought_about_options_ends_with_the_letter() -> None:
    assert respond(CHOICE) == _response("c4;+h9;4+9=3;-g6;3-6=7;7B;", "B")


def test_a_recheck_reads_again_and_keeps_the_result() -> None:
    assert respond(OPEN, recheck=2) == _response("c4;+h9;4+9=3;-g6;3-6=7;Wait;c4;+h9;7;", "7")


def test_a_slip_propagates_to_the_box() -> None:
    assert respond(OPEN, slip_at=2, slip_error=5) == _response("c4;+h9;4+9=8;-g6;8-6=2;", "2")


def test_a_slip_at_the_first_step_misreads_the_entry() -> None:
    assert respond(Problem(SCENE, ((1, "g"),)), slip_at=1) == _response("g7;", "7")


def test_a_sampled_slip_with_options_ends_at_another_option() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        slip_at, slip_error = sample_slip(rng, CHOICE)
        answer = respond(CHOICE, slip_at=slip_at, slip_error=slip_error)
        assert any(f"\\boxed{{{letter}}}" in answer for letter in "ACD")


def test_the_short_response_is_the_box_alone() -> None:
    assert (short_response(OPEN), short_response(CHOICE)) == ("\\boxed{7}", "\\boxed{B}")


def test_a_text_prompt_is_prefix_cells_question() -> None:
    assert OPEN.prompt("text") == f"{PREFIX}\nC4H9G6A0\nc+h-g=?"


def test_a_visual_prompt_leaves_the_cells_to_the_picture() -> None:
    assert CHOICE.prompt("visual") == f"{PREFIX}\nc+h-g=?\nChoices:\n(A) 3\n(B) 7\n(C) 0\n(D) 5"


def test_the_answer_is_taken_modulo_ten() -> None:
    assert Problem(SCENE, ((1, "a"), (-1, "h"))).answer == 1


def test_every_prompt_is_read_back_with_or_without_the_prefix() -> None:
    rng = np.random.default_rng(1)
    for i in range(300):
        num_cells = int(rng.integers(1, 9))
        problem = sample_problem(rng, int(rng.integers(1, num_cells + 1)), num_cells, None, (0, 4, 5)[i % 3])
        for modality in MODALITIES:
            entries = None if modality == "visual" else problem.scene.entries
            prompt = problem.prompt(modality)
            assert parse_prompt(prompt) == (entries, problem.terms, problem.options)
            assert parse_prompt(prompt.removeprefix(PREFIX).strip()) == parse_prompt(prompt)


def test_a_text_without_a_question_is_refused() -> None:
    with pytest.raises(ValueError, match="no question"):
        parse_prompt("What is the capital of France?")


def test_a_prompt_that_repeats_a_label_makes_no_problem() -> None:
    with pytest.raises(ValueError, match="distinct labels"):
        Problem(SCENE, ((1, "c"), (1, "c")))


def test_options_without_the_answer_are_refused() -> None:
    with pytest.raises(ValueError, match="contain the answer 7"):
        Problem(SCENE, TERMS, (1, 2, 3, 4))


def test_the_same_seed_draws_the_same_problem() -> None:
    first, second = (sample_problem(np.random.default_rng(3), 4, 8, None, 4) for _ in range(2))
    assert first == second

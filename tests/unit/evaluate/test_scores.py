from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from spica.artifacts.types import Gold, PromptRow, Score
from spica.evaluate import tasks
from spica.evaluate.answers import Answer
from spica.evaluate.items import Item
from spica.evaluate.score import num_thought_tokens, score
from spica.evaluate.summary import summarise

THOUGHT = "<|begin_of_thought|>c4;+h9;<|end_of_thought|>"
SOLUTION = "<|begin_of_solution|>\\boxed{3}<|end_of_solution|>"


@pytest.fixture
def tokenizer() -> Any:
    """One token per byte."""
    found = Tokenizer(
        models.BPE({char: i for i, char in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}, [])
    )
    found.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    found.decoder = decoders.ByteLevel()
    return found


def row(source: str = "mathverse", **changes: Any) -> PromptRow:
    gold = Gold(kind="number", value="3")
    return PromptRow.model_validate(
        {"id": "a", "source": source, "question": "?", "gold": gold, "modality": "text"} | changes
    )


def judged(question: PromptRow, response: str, finish_reason: str, tokenizer: Any) -> Score:
    answer = Answer(
        id=question.id, repetition_penalty=1.0, response=response, finish_reason=finish_reason, num_tokens=9
    )
    return score(Item(question, Path("."), question.source), answer, "D_T", tokenizer)


def test_tokens_between_the_markers_are_counted(tokenizer: Any) -> None:
    assert num_thought_tokens(THOUGHT + SOLUTION, tokenizer) == len("c4;+h9;")


def test_a_thought_that_never_ends_counts_to_the_end(tokenizer: Any) -> None:
    assert num_thought_tokens("<|begin_of_thought|>c4;+h", tokenizer) == len("c4;+h")


def test_a_thought_that_never_ends_counts_to_the_solution(tokenizer: Any) -> None:
    assert num_thought_tokens("<|begin_of_thought|>c4;" + SOLUTION, tokenizer) == len("c4;")


def test_a_response_without_thought_has_no_thought_tokens(tokenizer: Any) -> None:
    assert num_thought_tokens("\\boxed{3}", tokenizer) == 0


def test_characters_of_several_bytes_count_as_their_tokens(tokenizer: Any) -> None:
    assert num_thought_tokens("<|begin_of_thought|>√<|end_of_thought|>", tokenizer) == 3


def test_a_right_box_counts(tokenizer: Any) -> None:
    found = judged(row(), THOUGHT + SOLUTION, "stop", tokenizer)
    assert (found.correct, found.extracted, found.num_thought_tokens) == (True, "3", 7)


def test_a_right_box_in_a_cut_response_is_wrong(tokenizer: Any) -> None:
    assert not judged(row(), THOUGHT + SOLUTION, "length", tokenizer).correct


def test_a_response_without_box_has_nothing_extracted(tokenizer: Any) -> None:
    assert judged(row(), "three", "stop", tokenizer).extracted is None


def test_mmmu_takes_any_accepted_answer(tokenizer: Any) -> None:
    gold = Gold(kind="text", value="orlando")
    question = row("mmmu", gold=gold, meta={"accepted_answers": '["orlando", "orlando, florida"]'})
    assert judged(question, "\\boxed{Orlando, Florida}", "stop", tokenizer).correct


def test_olympiadbench_takes_several_answers_in_any_order(tokenizer: Any) -> None:
    gold = Gold(kind="text", value="1, 2, 5")
    question = row("olympiadbench", gold=gold, meta={"answers": '["1", "2", "5"]'})
    assert judged(question, "\\boxed{5, 1, 2}", "stop", tokenizer).correct
    assert not judged(question, "\\boxed{5, 1}", "stop", tokenizer).correct


def test_olympiadbench_keeps_the_order_inside_a_tuple(tokenizer: Any) -> None:
    pairs = Gold(kind="text", value="(1, 2), (3, 4)")
    two = row("olympiadbench", gold=pairs, meta={"answers": '["(1, 2)", "(3, 4)"]'})
    one = row("olympiadbench", gold=Gold(kind="text", value="(1, 2)"))
    assert judged(two, "\\boxed{(3, 4), (1, 2)}", "stop", tokenizer).correct
    assert not judged(two, "\\boxed{(1, 4), (3, 2)}", "stop", tokenizer).correct
    assert not judged(one, "\\boxed{2), (1}", "stop", tokenizer).correct


def test_olympiadbench_groups_follow_from_the_subset() -> None:
    question = row("olympiadbench", meta={"subset": "OE_TO_maths_zh_CEE", "answer_type": "Numerical"})
    assert tasks.groups("olympiadbench", question) == {
        "part": "text",
        "subset": "OE_TO_maths_zh_CEE",
        "language": "zh",
        "field": "maths",
        "answer_type": "Numerical",
    }


def test_groups_of_an_unknown_benchmark_are_empty() -> None:
    assert tasks.groups("mine", row("mine", meta={"level": "1"})) == {}


def summary_of(*cells: tuple[str, str, bool, int | None, str]) -> dict[str, Any]:
    """Cells are (source, modality, correct, num_steps, level)."""
    items, scores = [], []
    for i, (source, modality, correct, num_steps, level) in enumerate(cells):
        question = row(source, id=str(i), modality=modality, num_steps=num_steps, meta={"level": level})
        items.append(Item(question, Path("."), source))
        scores.append(
            Score(
                id=str(i),
                source=source,
                arm="D_T",
                repetition_penalty=1.0,
                response="",
                extracted="3" if correct else None,
                correct=correct,
                finish_reason="stop" if correct else "length",
                num_tokens=20,
                num_thought_tokens=10 * (num_steps or 0),
            )
        )
    found: dict[str, Any] = summarise("D_T", items, scores, [1.0])["by_repetition_penalty"]["1.0"]
    return found


def test_the_summary_counts_by_benchmark_group_and_steps() -> None:
    found = summary_of(
        ("mathvision", "visual", True, 1, "1"),
        ("mathvision", "visual", False, 1, "2"),
        ("mathverse", "text", True, 2, "1"),
        ("dev", "visual", True, 1, "1"),
    )
    assert found["benchmarks"]["mathvision"]["accuracy"] == 0.5
    levels = found["benchmarks"]["mathvision"]["groups"]["level"]
    assert {level: (cell["accuracy"], cell["n"]) for level, cell in levels.items()} == {
        "1": (1.0, 1),
        "2": (0.0, 1),
    }
    assert found["mean"] == 0.75
    # One of one: the lower end is 1 / (1 + 1.96 ^ 2).
    assert found["dev"] == {"accuracy": 1.0, "ci95": pytest.approx([0.206549, 1.0], abs=1e-6), "n": 1}
    assert found["by_steps"]["visual"]["1"]["n"] == 2
    assert found["by_steps"]["text"]["2"]["accuracy"] == 1.0
    assert found["thought_tokens"] == {"1": 10.0, "2": 20.0}
    assert (found["num_unparsed"], found["num_cut"]) == (1, 1)


def test_items_of_unknown_length_are_in_no_step_group() -> None:
    found = summary_of(("mathverse", "text", True, None, "1"))
    assert found["by_steps"] == {"text": {}, "visual": {}} and found["thought_tokens"] == {}

from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from spica.answers.judging import JudgeClient
from spica.artifacts.journal import Journal
from spica.artifacts.types import Gold, PromptRow, Score
from spica.evaluate import tasks
from spica.evaluate.answers import Answer
from spica.evaluate.items import Item
from spica.evaluate.judge import Judge
from spica.evaluate.lengths import measure
from spica.evaluate.score import Asked, score
from spica.evaluate.summary import summarise
from spica.recipe.schema import Endpoint
from spica.recipe.slices import RequestScale

from .judge_peer import judge_peer

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


OFFICIAL = {
    "mathverse": {"answer": "3", "question_for_eval": "?", "version": "Text Lite"},
    "mathvision": {"answer": "3", "question": "?"},
    "olympiadbench": {
        "final_answer": '["3"]',
        "subset": "OE_TO_maths_en_COMP",
        "is_multiple_answer": "false",
    },
    "mmmu": {"answers": '["3"]', "question": "?"},
    "dev": {},
}


def row(source: str = "mathvision", **changes: Any) -> PromptRow:
    gold = Gold(kind="number", value="3")
    keys = {"id": "a", "source": source, "question": "?", "gold": gold, "modality": "text"}
    meta = OFFICIAL.get(source, {}) | changes.pop("meta", {})
    return PromptRow.model_validate(keys | changes | {"meta": meta})


def judged(
    question: PromptRow, response: str, finish_reason: str, tokenizer: Any, client: JudgeClient | None = None
) -> Score:
    answer = Answer(
        id=question.id, repetition_penalty=1.0, response=response, finish_reason=finish_reason, num_tokens=9
    )
    asked = [Asked(Item(question, Path("."), question.source), answer)]
    (found,) = score(asked, "D_T", tokenizer, client, concurrency=2)
    return found


def test_tokens_between_the_markers_are_counted(tokenizer: Any) -> None:
    assert measure(THOUGHT + SOLUTION, tokenizer).num_thought_tokens == len("c4;+h9;")


def test_a_thought_that_never_ends_counts_to_the_end(tokenizer: Any) -> None:
    assert measure("<|begin_of_thought|>c4;+h", tokenizer).num_thought_tokens == len("c4;+h")


def test_a_thought_that_never_ends_counts_to_the_solution(tokenizer: Any) -> None:
    assert measure("<|begin_of_thought|>c4;" + SOLUTION, tokenizer).num_thought_tokens == len("c4;")


def test_a_response_without_thought_has_no_thought_tokens(tokenizer: Any) -> None:
    assert measure("\\boxed{3}", tokenizer).num_thought_tokens == 0


def test_characters_of_several_bytes_count_as_their_tokens(tokenizer: Any) -> None:
    assert measure("<|begin_of_thought|>√<|end_of_thought|>", tokenizer).num_thought_tokens == 3


def test_a_right_box_counts(tokenizer: Any) -> None:
    found = judged(row(), THOUGHT + SOLUTION, "stop", tokenizer)
    assert (found.correct, found.extracted, found.num_thought_tokens) == (True, "3", 7)


def test_a_right_box_in_a_cut_response_is_wrong(tokenizer: Any) -> None:
    assert not judged(row(), THOUGHT + SOLUTION, "length", tokenizer).correct


def test_thought_and_solution_are_measured_apart_in_tokens_and_words(tokenizer: Any) -> None:
    response = (
        "<|begin_of_thought|>\n\na b c\n\n<|end_of_thought|>\n\n<|begin_of_solution|>d e<|end_of_solution|>x"
    )
    found = measure(response, tokenizer)
    assert (found.num_thought_words, found.num_solution_words) == (3, 2)
    assert (found.num_thought_tokens, found.num_solution_tokens) == (len("\n\na b c\n\n"), len("d e"))


def test_a_response_without_thought_is_all_solution(tokenizer: Any) -> None:
    assert measure("so 3", tokenizer)[:] == (0, 4, 0, 2)


def test_an_unreadable_choice_is_wrong_and_has_nothing_extracted(tokenizer: Any) -> None:
    question = row("mmmu", meta={"answers": '["B"]', "options": '["a cat", "a dog"]'})
    found = judged(question, "The picture does not show what was asked for.", "stop", tokenizer)
    assert (found.extracted, found.correct) == (None, False)


def test_an_empty_response_is_wrong_without_any_judge(tokenizer: Any) -> None:
    found = judged(row("mathverse"), " ", "stop", tokenizer)
    assert (found.correct, found.method) == (False, "empty")


def test_mmmu_takes_any_accepted_answer(tokenizer: Any) -> None:
    question = row("mmmu", meta={"answers": '["Orlando", "Orlando, Florida"]'})
    assert judged(question, "\\boxed{Orlando, Florida}", "stop", tokenizer).correct


def test_olympiadbench_takes_several_answers_in_any_order(tokenizer: Any) -> None:
    question = row("olympiadbench", meta={"final_answer": '["$1$", "$2$", "$5$"]'})
    assert judged(question, "\\boxed{5, 1, 2}", "stop", tokenizer).correct
    assert not judged(question, "\\boxed{5, 1}", "stop", tokenizer).correct


def test_olympiadbench_keeps_the_order_inside_a_tuple(tokenizer: Any) -> None:
    two = row("olympiadbench", meta={"final_answer": '["$(1, 2), (3, 4)$"]', "answer_type": "Tuple"})
    assert judged(two, "\\boxed{(3, 4), (1, 2)}", "stop", tokenizer).correct
    assert not judged(two, "\\boxed{(1, 4), (3, 2)}", "stop", tokenizer).correct


def test_an_olympiadbench_tolerance_counts(tokenizer: Any) -> None:
    question = row("olympiadbench", meta={"final_answer": '["$1.25$"]', "error": "5e-2", "unit": "s"})
    assert judged(question, "\\boxed{1.27}", "stop", tokenizer).correct
    assert not judged(question, "\\boxed{1.5}", "stop", tokenizer).correct


def test_dev_has_only_the_repaired_mode(tokenizer: Any) -> None:
    found = judged(row("dev"), "\\boxed{3}", "stop", tokenizer)
    assert (found.correct, found.official, found.fork) == (True, None, None)


def test_the_forked_olympiadbench_scorer_refuses_what_is_not_structurally_equal(tokenizer: Any) -> None:
    question = row("olympiadbench", meta={"final_answer": '["$\\\\frac{1}{2}$"]', "answer_type": "Numerical"})
    found = judged(question, "So the final answer is \\boxed{0.5}.", "stop", tokenizer)
    assert (found.correct, found.official, found.fork) == (True, True, False)


def test_official_programs_judge_a_cut_response_and_ours_does_not(tokenizer: Any) -> None:
    found = judged(row(), "\\boxed{3}", "length", tokenizer)
    assert (found.correct, found.method, found.official) == (False, "no_end", True)


def test_mmmu_has_no_fork(tokenizer: Any) -> None:
    found = judged(row("mmmu"), "\\boxed{3}", "stop", tokenizer)
    assert (found.correct, found.fork) == (True, None)


def test_the_order_of_mmmus_rows_decides_what_its_official_scorer_draws(tokenizer: Any) -> None:
    options = {"answers": '["A"]', "options": '["cat", "dog"]'}
    rows = [row("mmmu", id=str(i), meta=options) for i in range(40)]
    asked = [
        Asked(
            Item(one, Path("."), "mmmu"),
            Answer(id=one.id, repetition_penalty=1.0, response="hm", finish_reason="stop", num_tokens=1),
        )
        for one in rows
    ]
    found = score(asked, "base", tokenizer, None, 1)
    assert {one.official for one in found} == {True, False}
    assert not any(one.correct for one in found)
    again = score(asked[20:], "base", tokenizer, None, 1)
    assert [one.official for one in again] == [one.official for one in found[:20]]


WORDS = {"answer": "isosceles triangle", "question_for_eval": "What kind of triangle is shown?"}


def test_words_without_a_judge_are_unjudged(tokenizer: Any) -> None:
    found = judged(row("mathverse", meta=WORDS), "\\boxed{it has two equal sides}", "stop", tokenizer)
    assert (found.correct, found.method, found.official, found.fork) == (False, "unjudged", None, None)


def test_words_are_judged_by_the_judge(tokenizer: Any, tmp_path: Path) -> None:
    with judge_peer(lambda prompt: "1" if "[Standard answer]" in prompt else "two equal sides") as peer:
        with Journal(tmp_path / "judgements.jsonl") as journal:
            client = Judge(
                Endpoint(url=peer.url, model="judge"),
                RequestScale(concurrency=2, request_timeout_s=10.0, max_attempts=1),
                journal,
            )
            response = "\\boxed{it has two equal sides}"
            found = judged(row("mathverse", meta=WORDS), response, "stop", tokenizer, client)
    assert (found.correct, found.method, found.official, found.fork) == (True, "judge", True, True)


def test_rules_come_first_and_ask_no_judge(tokenizer: Any, tmp_path: Path) -> None:
    class Silent:
        def ask(self, prompt: str, number: int = 0) -> str:
            return ""

    found = judged(row("mathverse"), "\\boxed{3}", "stop", tokenizer, Silent())
    assert (found.correct, found.official) == (True, None)


def test_olympiadbench_groups_follow_from_the_subset() -> None:
    question = row("olympiadbench", meta={"subset": "OE_TO_maths_zh_CEE", "answer_type": "Numerical"})
    assert tasks.groups("olympiadbench", question) == {
        "part": "text",
        "subset": "OE_TO_maths_zh_CEE",
        "language": "zh",
        "field": "maths",
        "answer_type": "Numerical",
        "language x field": "zh x maths",
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
                official=correct,
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
    assert (found["num_unparsed"], found["num_cut"], found["num_unjudged"]) == (1, 1, 0)


def test_the_summary_of_a_benchmark_says_lengths_rates_and_modes() -> None:
    found = summary_of(
        ("mathvision", "visual", True, 1, "1"),
        ("mathvision", "visual", False, 3, "2"),
        ("mmmu", "visual", True, 1, "1"),
    )["benchmarks"]
    vision = found["mathvision"]
    assert vision["lengths"]["num_thought_tokens"] == 20.0
    assert (vision["truncated"], vision["no_answer"], vision["num_gold_unparsed"]) == (0.5, 0.5, 0)
    assert (vision["modes"]["official"]["accuracy"], vision["modes"]["official"]["num_unjudged"]) == (0.5, 0)
    assert (vision["modes"]["fork"]["accuracy"], vision["modes"]["fork"]["num_unjudged"]) == (None, 2)
    assert found["mmmu"]["modes"]["fork"] == "n/a"


def test_items_of_unknown_length_are_in_no_step_group() -> None:
    found = summary_of(("mathverse", "text", True, None, "1"))
    assert found["by_steps"] == {"text": {}, "visual": {}} and found["thought_tokens"] == {}

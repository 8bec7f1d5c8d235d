from typing import Any

from spica.artifacts.types import Gold, PromptRow, Rollout
from spica.distill.sample import request_seed
from spica.distill.select import pass_rates, shortest_correct


def prompt(id: str, source: str = "geos", num_steps: int | None = 2) -> PromptRow:
    gold = Gold(kind="number", value="7")
    return PromptRow(id=id, source=source, question="c+h=?", gold=gold, modality="text", num_steps=num_steps)


def rollout(id: str, index: int, verdict: Any, num_tokens: int = 10) -> Rollout:
    return Rollout(
        id=id,
        index=index,
        teacher="t",
        prompt_digest="0",
        temperature=1.0,
        top_p=1.0,
        max_tokens=512,
        seed=0,
        response="r",
        finish_reason="stop",
        num_tokens=num_tokens,
        verdict=verdict,
    )


def test_the_shortest_correct_is_kept_and_the_first_of_equals() -> None:
    rollouts = [
        rollout("a", 0, "correct", 30),
        rollout("a", 1, "wrong", 5),
        rollout("a", 2, "correct", 20),
        rollout("a", 3, "correct", 20),
        rollout("b", 0, "no_box", 5),
        rollout("b", 1, "no_end", 5),
        rollout("c", 0, "correct", 9),
    ]
    assert [(kept.id, kept.index) for kept in shortest_correct(rollouts)] == [("a", 2), ("c", 0)]


def test_pass_rates_are_counted_overall_by_source_and_by_steps() -> None:
    rows = [prompt("a"), prompt("b", num_steps=3), prompt("c", source="clevr", num_steps=None)]
    rollouts = [
        rollout("a", 0, "correct"),
        rollout("a", 1, "correct"),
        rollout("b", 0, "correct"),
        rollout("b", 1, "wrong"),
        rollout("c", 0, "empty"),
        rollout("c", 1, "wrong"),
    ]
    assert pass_rates(rows, rollouts) == {
        "overall": 0.5,
        "by_source": {"clevr": 0.0, "geos": 0.75},
        "by_num_steps": {"2": 1.0, "3": 0.5},
        "correct_histogram": {"0": 1, "1": 1, "2": 1},
        "verdicts": {"correct": 3, "empty": 1, "wrong": 2},
    }


def test_the_request_seed_depends_on_seed_id_and_index_alone() -> None:
    assert request_seed(42, "geos-17", 0) == request_seed(42, "geos-17", 0) == 1084764231
    assert len({request_seed(s, i, n) for s in (1, 2) for i in ("a", "b") for n in (0, 1)}) == 8

from typing import Any

from spica.artifacts.types import Gold, PromptRow, Rollout
from spica.distill.draws import Draw, request_seed
from spica.distill.order import longest_first
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


def test_several_are_kept_shortest_first() -> None:
    rollouts = [
        rollout("a", 0, "correct", 30),
        rollout("a", 1, "correct", 20),
        rollout("a", 2, "wrong", 5),
        rollout("a", 3, "correct", 20),
        rollout("b", 0, "correct", 9),
    ]
    kept = [(one.id, one.index) for one in shortest_correct(rollouts, 2)]
    assert kept == [("a", 1), ("a", 3), ("b", 0)]


def test_where_rollouts_were_cancelled_there_are_no_rates() -> None:
    rates = pass_rates([prompt("a")], [rollout("a", 0, "correct"), rollout("a", 1, "cancelled")])
    assert rates["overall"] is None
    assert (rates["by_source"], rates["by_num_steps"], rates["correct_histogram"]) == ({}, {}, {})
    assert rates["verdicts"] == {"cancelled": 1, "correct": 1}


def test_the_longest_question_comes_first_and_siblings_stay_together() -> None:
    short, long = prompt("a"), prompt("b").model_copy(update={"question": "c+h+w+z=?"})
    draws = [Draw(row, index) for row in (short, long) for index in range(2)]
    assert [draw.name for draw in longest_first(draws, [])] == ["b#0", "b#1", "a#0", "a#1"]


def test_what_an_interrupted_run_began_comes_first_by_its_siblings_lengths() -> None:
    rows = [prompt(id) for id in "abcd"]
    draws = [Draw(row, 2) for row in rows]
    finished = [rollout("b", 0, "wrong", 10), rollout("b", 1, "wrong", 30), rollout("d", 0, "correct", 25)]
    assert [draw.name for draw in longest_first(draws, finished)] == ["d#2", "b#2", "a#2", "c#2"]

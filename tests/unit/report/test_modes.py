from collections.abc import Mapping
from typing import Any

from spica.answers.proportion import Proportion
from spica.report.modes import modes, paired_tests, responses
from spica.report.outcomes import Outcome, Outcomes

from .report_rows import item, outcomes


def outcome(correct: bool = True, **changes: Any) -> Outcome:
    return Outcome(correct, True, 20, 10)._replace(**changes)


def with_base(made: Outcomes, answers: Mapping[str, Outcome]) -> Outcomes:
    return made._replace(scores={**made.scores, "base": {1.0: answers}})


VERSE = [item("a"), item("b"), item("c")]


def test_the_three_modes_of_one_benchmark_stand_side_by_side() -> None:
    answers = {
        "a": outcome(True, official=True, fork=False),
        "b": outcome(True, official=False, fork=False),
        "c": outcome(False, official=False, fork=True),
    }
    found = modes(with_base(outcomes(VERSE, {}), answers))["base"]["mathverse"]
    assert {mode: cell.share for mode, cell in found.items()} == {
        "repaired": Proportion(2, 3),
        "official": Proportion(1, 3),
        "fork": Proportion(1, 3),
    }


def test_unjudged_responses_are_counted_and_not_guessed() -> None:
    answers = {
        "a": outcome(True, official=True),
        "b": outcome(False, unjudged=True),
        "c": outcome(False, unjudged=True),
    }
    found = modes(with_base(outcomes(VERSE, {}), answers))["base"]["mathverse"]
    assert (found["repaired"].share, found["repaired"].num_unjudged) == (Proportion(1, 3), 2)
    assert (found["official"].share, found["official"].num_unjudged) == (Proportion(1, 1), 2)
    assert (found["fork"].share, found["fork"].num_unjudged) == (None, 3)


def test_mmmu_has_no_fork() -> None:
    found = modes(outcomes([item("a", "mmmu")], {}))["base"]["mmmu"]
    assert (found["fork"].exists, found["official"].exists) == (False, True)


def test_every_arm_is_tested_against_those_before_it_per_benchmark_and_pooled() -> None:
    items = [*VERSE, item("d", "mmmu")]
    found = paired_tests(outcomes(items, {"D_T": "1111", "base": "1000"}))
    over_base = found["D_T"]["base"]
    assert (over_base["mathverse"].gain.gain, over_base["mathverse"].p) == (2 / 3, 0.5)
    assert (over_base["all"].gain.n, over_base["all"].p) == (4, 0.25)
    assert {arm: list(row) for arm, row in found.items()} == {
        "control": ["base"],
        "D_T": ["base", "control"],
        "D_SD": ["base", "control", "D_T"],
        "D_T+D_SD": ["base", "control", "D_T", "D_SD"],
    }


def test_lengths_are_means_and_rates_are_shares() -> None:
    answers = {
        "a": outcome(num_thought_words=6, num_solution_tokens=3, num_solution_words=3),
        "b": outcome(cut=True, parsed=False),
        "c": outcome(),
    }
    found = responses(with_base(outcomes(VERSE, {}), answers))["base"]["mathverse"]
    assert (found.thought_tokens, found.thought_words, found.solution_tokens) == (10.0, 2.0, 1.0)
    assert (found.truncated, found.no_answer) == (1 / 3, 1 / 3)

from typing import Any

import pytest

from spica.recipe.schema import Gate
from spica.report.gates import GateResult, check_gate, interval, points
from spica.report.headline import headline
from spica.report.outcomes import Outcomes

from .report_rows import item, outcomes

TWENTY = [item(f"q{place}") for place in range(20)]
LIFTED = outcomes(TWENTY, {"D_T": "1" * 18, "base": "1" * 2})


def _check(of: Outcomes = LIFTED, **keys: Any) -> GateResult:
    return check_gate(Gate.model_validate({"name": "g", "model": "D_T", "over": "base", **keys}), of)


def test_a_gain_that_reaches_its_minimum_passes() -> None:
    result = _check(min_gain=0.4)
    assert result.passed
    assert result.reason == "a gain of +80.0 reaches the required +40.0 and its 95 % interval lies above zero"


def test_a_gain_below_its_minimum_fails_with_both_numbers() -> None:
    result = _check(min_gain=0.9)
    assert not result.passed
    assert result.reason == "a gain of +80.0 is below the required +90.0"


def test_an_interval_that_touches_zero_fails_even_when_the_gain_is_reached() -> None:
    result = _check(outcomes(TWENTY, {"D_T": "111", "base": "1"}), min_gain=0.1)
    assert not result.passed
    assert result.reason == "the 95 % interval \N{MINUS SIGN}9.0..30.5 is not above zero"


def test_a_gain_within_its_maximum_passes() -> None:
    result = _check(outcomes(TWENTY, {"D_T": "11", "base": "1"}), max_gain=0.05)
    assert (result.passed, result.reason) == (True, "a gain of +5.0 stays within the allowed +5.0")


def test_a_gain_above_its_maximum_fails() -> None:
    result = _check(max_gain=0.05)
    assert not result.passed
    assert result.reason == (
        "a gain of +80.0 exceeds the allowed +5.0; the 95 % interval 51.6..90.2 lies above zero"
    )


def test_a_small_gain_that_is_clear_of_zero_fails_a_maximum_too() -> None:
    result = _check(max_gain=0.9)
    assert (result.passed, result.reason) == (False, "the 95 % interval 51.6..90.2 lies above zero")


def test_a_gate_that_matches_no_item_fails() -> None:
    result = _check(benchmark="mmmu", max_gain=1.0)
    assert (result.passed, result.reason, result.gain.n) == (False, "no item matches this gate", 0)


MIXED = [
    item("a", "mathverse", "visual", 2),
    item("b", "mathverse", "both", 2),
    item("c", "mmmu", "visual", 7),
    item("d", "olympiadbench", "text", 6),
    item("e", "mmmu", "visual", None),
]


@pytest.mark.parametrize(
    ("keys", "n"),
    [
        ({}, 5),
        ({"modality": "visual"}, 3),
        ({"modality": "text"}, 1),
        ({"benchmark": "mathverse"}, 2),
        ({"steps": (2, 6)}, 3),
        ({"steps": (2, 6), "modality": "visual"}, 1),
    ],
)
def test_a_gate_pools_the_items_it_names(keys: dict[str, Any], n: int) -> None:
    assert _check(outcomes(MIXED, {}), **keys).gain.n == n


def test_points_carry_their_sign_and_zero_has_none() -> None:
    shown = [points(share) for share in (0.774, -0.02, 0.0, -0.0001)]
    assert shown == ["+77.4", "\N{MINUS SIGN}2.0", "0.0", "0.0"]


def test_the_headline_is_the_first_gate_that_asks_for_a_gain() -> None:
    results = [_check(max_gain=1.0), _check(min_gain=0.4, modality="visual")]
    top = headline(results, LIFTED)
    assert top.text == (
        "Text-only thoughts lifted visual accuracy from 10 % to 90 % "
        f"(+80 points, 95 % CI {interval(results[1].gain, 0)})"
    )


def test_the_headline_says_so_when_nothing_moved() -> None:
    flat = outcomes(TWENTY, {"D_T": "111", "base": "1"})
    assert headline([], flat).text.startswith(
        "Text-only thoughts did not clearly move visual accuracy from 5 % to 15 %"
    )


def test_the_headline_says_so_when_thinking_harms() -> None:
    worse = outcomes(TWENTY, {"D_T": "1", "base": "1" * 19})
    assert headline([], worse).claim == "lowered visual accuracy"

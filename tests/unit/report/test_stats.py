from fractions import Fraction

import pytest

from spica.answers.proportion import Proportion, proportion
from spica.report.stats import mcnemar, mean, paired_gain, percent


def test_wilsons_interval_of_81_in_263_is_the_published_one() -> None:
    # R. G. Newcombe, Statistics in Medicine 17 (1998) 857-872, table I.
    low, high = Proportion(81, 263).ci95
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)


def test_wilsons_interval_of_none_starts_at_zero_exactly() -> None:
    low, high = Proportion(0, 20).ci95
    assert (low, round(high, 4)) == (0.0, 0.1611)


def test_wilsons_interval_of_all_ends_at_one_exactly() -> None:
    low, high = Proportion(20, 20).ci95
    assert (round(low, 4), high) == (0.8389, 1.0)


def test_nothing_asked_is_no_evidence_at_all() -> None:
    assert Proportion(0, 0).accuracy == 0.0
    assert Proportion(0, 0).ci95 == (0.0, 1.0)


def test_right_answers_are_counted() -> None:
    assert proportion(iter([True, False, True])) == Proportion(2, 3)


def _pairs(both: int, only_model: int, only_over: int, neither: int) -> list[tuple[bool, bool]]:
    return (
        [(True, True)] * both
        + [(True, False)] * only_model
        + [(False, True)] * only_over
        + [(False, False)] * neither
    )


@pytest.mark.parametrize(
    ("table", "gain", "low", "high"),
    [
        # R. G. Newcombe, D. G. Altman, "Statistics with confidence" (2000), chapter 6, paired examples.
        ((14, 5, 0, 22), 0.122, 0.011, 0.226),
        ((212, 256, 144, 707), 0.085, 0.055, 0.114),
    ],
)
def test_newcombes_paired_interval_is_the_published_one(
    table: tuple[int, int, int, int], gain: float, low: float, high: float
) -> None:
    found = paired_gain(_pairs(*table))
    assert (round(found.gain, 3), round(found.ci95[0], 3), round(found.ci95[1], 3)) == (gain, low, high)


def test_a_gain_of_everything_ends_at_one_exactly() -> None:
    # Wilson gives 0.7225..1 and 0..0.2775; without correlation the lower end is 1 - 0.2775 * sqrt(2).
    low, high = paired_gain(_pairs(0, 10, 0, 0)).ci95
    assert (round(low, 4), high) == (0.6075, 1.0)


def test_equal_answers_everywhere_leave_a_symmetric_interval() -> None:
    low, high = paired_gain(_pairs(0, 0, 0, 10)).ci95
    assert (round(low, 4), round(high, 4)) == (-0.2775, 0.2775)


def test_a_gain_carries_both_accuracies() -> None:
    found = paired_gain(_pairs(1, 2, 0, 1))
    assert (found.model, found.over, found.n) == (Proportion(3, 4), Proportion(1, 4), 4)


def test_a_gain_over_no_item_may_be_anything() -> None:
    found = paired_gain([])
    assert (found.gain, found.ci95, found.n) == (0.0, (-1.0, 1.0), 0)


def test_the_average_column_rounds_half_up_as_the_paper_does() -> None:
    # Gemini-Pro in table 2: 35.3, 19.2, 4.2, 65.8 -> 31.13, where binary floats and half-to-even give 31.12.
    row = [Fraction(cell) / 100 for cell in ("35.3", "19.2", "4.2", "65.8")]
    assert percent(mean(row), 2) == "31.13"


def test_percent_keeps_trailing_zeros() -> None:
    assert percent(Fraction(1, 2)) == "50.0"


def test_the_mean_of_nothing_is_zero() -> None:
    assert mean([]) == 0


def test_mcnemars_exact_p_is_the_binomial_tail_on_both_sides() -> None:
    # Of six items on which they differ five speak for the model: 2 * (1 + 6) / 2 ** 6.
    assert mcnemar(_pairs(10, 5, 1, 10)) == 0.21875


def test_mcnemar_does_not_care_which_model_is_ahead() -> None:
    assert mcnemar(_pairs(0, 1, 5, 0)) == mcnemar(_pairs(0, 5, 1, 0))


def test_models_that_never_differ_have_a_p_of_one() -> None:
    assert mcnemar(_pairs(3, 0, 0, 3)) == 1.0
    assert mcnemar(_pairs(0, 4, 4, 0)) == 1.0

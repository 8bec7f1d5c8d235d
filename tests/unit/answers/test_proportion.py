import pytest

from spica.answers.proportion import Proportion


def test_wilson_interval_of_8_in_10() -> None:
    # (0.8 + 1.92073/10 -+ 1.95996 * sqrt(0.016 + 0.0096036)) / (1 + 0.384146)
    assert Proportion(8, 10).ci95 == pytest.approx((0.49016, 0.94332), abs=5e-5)


def test_wilson_interval_of_nothing_is_everything() -> None:
    assert Proportion(0, 0).ci95 == (0.0, 1.0)

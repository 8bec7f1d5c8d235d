"""Proportions, their intervals and differences on the same items.

Intervals are two-sided 95 %. A proportion gets Wilson's score interval (E. B. Wilson, JASA 22, 1927). A
difference between two models that answered the same items gets method 10 of R. G. Newcombe, "Improved
confidence intervals for the difference between binomial proportions based on paired data", Statistics in
Medicine 17 (1998) 2635-2650: it needs no random numbers and stays inside -1..1 when a model is right
everywhere or nowhere.
"""

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from math import sqrt
from typing import NamedTuple

from spica.answers.proportion import Interval, Proportion


class Gain(NamedTuple):
    """Accuracy of one model minus another's on the same n items; values in -1..1."""

    gain: float
    ci95: Interval
    n: int
    model: Proportion
    over: Proportion


def paired_gain(pairs: Sequence[tuple[bool, bool]]) -> Gain:
    """Difference of two paired proportions with Newcombe's interval.

    Args:
        pairs: (correct by the model, correct by the one it is compared with), one per item.
    """
    n = len(pairs)
    both = sum(model and over for model, over in pairs)
    only_model = sum(model and not over for model, over in pairs)
    only_over = sum(over and not model for model, over in pairs)
    model, over = Proportion(both + only_model, n), Proportion(both + only_over, n)
    if not n:
        return Gain(0.0, (-1.0, 1.0), 0, model, over)
    gain = (only_model - only_over) / n
    correlation = _correlation(both, only_model, only_over, n - both - only_model - only_over)
    down = _hypotenuse(model.accuracy - model.ci95[0], over.ci95[1] - over.accuracy, correlation)
    up = _hypotenuse(model.ci95[1] - model.accuracy, over.accuracy - over.ci95[0], correlation)
    return Gain(gain, (gain - down, gain + up), n, model, over)


def _correlation(a: int, b: int, c: int, d: int) -> float:
    """Phi of the fourfold table; a positive numerator is corrected for continuity (method 10)."""
    margins = (a + b) * (c + d) * (a + c) * (b + d)
    if not margins:
        return 0.0
    numerator: float = a * d - b * c
    if numerator > 0:
        numerator = max(numerator - (a + b + c + d) / 2, 0.0)
    return numerator / sqrt(margins)


def _hypotenuse(one: float, other: float, correlation: float) -> float:
    return sqrt(max(one * one - 2 * correlation * one * other + other * other, 0.0))


def mean(values: Sequence[Fraction]) -> Fraction:
    """Plain mean, exact (the Average column of table 2); 0 of nothing."""
    return sum(values, Fraction(0)) / len(values) if values else Fraction(0)


def percent(value: Fraction | float, digits: int = 1) -> str:
    """A share in 0..1 as percent, rounded half up as the paper's tables are (31.125 -> "31.13")."""
    exact = Fraction(value) * 100
    quantum = Decimal(1).scaleb(-digits)
    return str((Decimal(exact.numerator) / Decimal(exact.denominator)).quantize(quantum, ROUND_HALF_UP))


def mcnemar(pairs: Sequence[tuple[bool, bool]]) -> float:
    """Two-sided p value of McNemar's test, exact (binomial), that two models are right equally often.

    Only items on which they differ count (Q. McNemar, Psychometrika 12, 1947); without any the p value is 1.

    Args:
        pairs: (correct by the model, correct by the one it is compared with), one per item.
    """
    gained = sum(model and not over for model, over in pairs)
    lost = sum(over and not model for model, over in pairs)
    n, term, tail = gained + lost, 1, 0
    for k in range(min(gained, lost) + 1):
        tail += term
        term = term * (n - k) // (k + 1)
    return float(min(Fraction(1), Fraction(2 * tail, 2**n)))

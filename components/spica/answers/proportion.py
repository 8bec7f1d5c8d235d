"""A share of right answers and its interval."""

from collections.abc import Iterable
from fractions import Fraction
from math import sqrt
from typing import NamedTuple

Z = 1.959963984540054
"""97.5 % quantile of the normal distribution."""

Interval = tuple[float, float]


class Proportion(NamedTuple):
    """`num_correct` of `n` items; n may be 0, then accuracy is 0 and the interval is 0..1."""

    num_correct: int
    n: int

    @property
    def exact(self) -> Fraction:
        """Accuracy without rounding, 0..1."""
        return Fraction(self.num_correct, self.n) if self.n else Fraction(0)

    @property
    def accuracy(self) -> float:
        return float(self.exact)

    @property
    def ci95(self) -> Interval:
        """Wilson's score interval, 0..1."""
        if not self.n:
            return (0.0, 1.0)
        rate, spread = self.accuracy, Z * Z / self.n
        centre = (rate + spread / 2) / (1 + spread)
        half = Z * sqrt(rate * (1 - rate) / self.n + spread / self.n / 4) / (1 + spread)
        low = 0.0 if self.num_correct == 0 else centre - half
        high = 1.0 if self.num_correct == self.n else centre + half
        return (low, high)


def proportion(outcomes: Iterable[bool]) -> Proportion:
    """Count the right answers."""
    values = list(outcomes)
    return Proportion(sum(values), len(values))

"""Whether two expressions have one value."""

import cmath
import math
from collections.abc import Iterator
from fractions import Fraction

from spica.answers.functions import NoValue, Value, absolute
from spica.answers.numeric import NUM_POINTS, Reading, value
from spica.answers.realset import CONSTANTS
from spica.answers.tree import Measure, Node, Num, Op, contains, symbols, walk

TOLERANCE = 1e-6
"""Decimals are equal within this, relative or absolute."""


ROUNDING = 1e-9
"""Of floating point, where nothing was rounded by whoever wrote it."""


def same_value(answer: Node, gold: Node, tolerance: float | None) -> bool:
    """Whether two expressions have one value, whatever their symbols stand for."""
    exact = not _has_decimal(answer) and not _has_decimal(gold)
    undecided = False
    for first, second in _readings(answer, gold):
        try:
            if all(_close(a, b, tolerance, exact) for a, b in values_at_points(answer, gold, first, second)):
                return True
        except NoValue:
            undecided = True
    if undecided:
        raise NoValue("no value in some reading")
    return False


def _has_decimal(node: Node) -> bool:
    return any(isinstance(part, Num) and part.decimal for part in walk(node))


def _readings(answer: Node, gold: Node) -> Iterator[tuple[Reading, Reading]]:
    """What the signs behind numbers count for, alike on both sides unless one side has none."""
    marks = [_marks(answer), _marks(gold)]
    if marks == [frozenset(), frozenset()]:
        yield Reading(), Reading()
        return
    first, second = marks
    degrees = (
        [(1.0, 1.0)]
        if ("deg" in first) == ("deg" in second)
        else [(1.0, 1.0), (math.pi / 180, math.pi / 180)]
    )
    hundredth = Fraction(1, 100)
    percents = (
        [(hundredth, hundredth)]
        if ("pct" in first) == ("pct" in second)
        else [(Fraction(1), Fraction(1)), (hundredth, hundredth)]
    )
    measured = ["measured" in mark or "bare" in mark for mark in marks]
    units = ["sizes" if measured[0] == measured[1] else "dropped"]
    if "bare" in first or "bare" in second:
        units.append("letters")
    for unit in units:
        for degree, percent in [(degree, percent) for degree in degrees for percent in percents]:
            first_reading, second_reading = (
                Reading(degree=degree[side], percent=percent[side], units=unit) for side in (0, 1)
            )
            yield first_reading, second_reading


def _marks(node: Node) -> frozenset[str]:
    found = set()
    for part in walk(node):
        if isinstance(part, Measure):
            found.add("bare" if part.bare else "measured")
        elif isinstance(part, Op) and part.name in ("deg", "pct"):
            found.add(part.name)
    return frozenset(found)


def values_at_points(
    answer: Node, gold: Node, first: Reading, second: Reading
) -> Iterator[tuple[Value, Value]]:
    """Both values at each point where both have one; one point suffices without symbols."""
    if not (symbols(answer) | symbols(gold)) - CONSTANTS and not _calls(answer) and not _calls(gold):
        yield value(answer, first), value(gold, second)
        return
    found = 0
    signed = contains(answer, "abs") or contains(gold, "abs")
    for point in range(2 * NUM_POINTS if signed else NUM_POINTS):
        try:
            a = value(answer, first._replace(point=point))
            b = value(gold, second._replace(point=point))
        except NoValue:
            continue
        # With negative symbols a root may leave the real axis, and two right forms differ there.
        if point >= NUM_POINTS and (isinstance(a, complex) or isinstance(b, complex)):
            continue
        yield a, b
        found += 1
    if found < 3:
        raise NoValue("no value at most points")


def _calls(node: Node) -> bool:
    return any(isinstance(part, Op) and part.name.startswith("call ") for part in walk(node))


def _close(answer: Value, gold: Value, tolerance: float | None, exact: bool) -> bool:
    if answer == gold:
        return True
    rational = isinstance(answer, int | Fraction) and isinstance(gold, int | Fraction)
    if tolerance is not None:
        try:
            if absolute(answer - gold) <= tolerance * (1 + 1e-9):
                return True
        except OverflowError:
            return False
    if rational and exact:
        return False
    try:
        return near(
            complex(answer), complex(gold), ROUNDING if exact else TOLERANCE, 1e-12 if exact else TOLERANCE
        )
    except OverflowError:
        return False


def near(answer: complex, gold: complex, relative: float, absolute: float) -> bool:
    if not (cmath.isfinite(answer) and cmath.isfinite(gold)):
        return answer == gold
    # An absolute tolerance would take zero for any tiny physical constant (protocol D1).
    return cmath.isclose(answer, gold, rel_tol=relative, abs_tol=0.0 if 0.0 < abs(gold) < 1e-3 else absolute)

r"""Whether OpenBMB/OlympiadBench's MathJudger pairs two lists of answers, and whether Virgo's copy does.

Computed within `spica.answers.worker`: sympy may take any time and memory on what a model writes. The rules
are those of inference/code/math_judger.py (sympy 1.12, antlr4 4.11) and, as `fork`, of RUCAIBox/Virgo's
evaluation/OlympiadBench/evaluation/evaluate.py (sympy 1.13.1), where comparing values always raises: the
method that puts a number for \pi was commented out, its calls were not.
"""

import math
from typing import Any

import sympy

from spica.answers.published.olympiadbench_latex import parse

WORKER_FUNCTIONS = ("pairing",)

_SLACK = 1.01
"""On every tolerance."""

_SYMBOLIC_TOLERANCE = 1e-3
_MAX_EXPONENT = 1000


class _Swallowed(Exception):
    """Stands for the exception that the fork raises."""


def pairing(predictions: list[str], golds: list[str], tolerances: list[float], fork: bool) -> str:
    """Rule by which the last two answers were paired, or "" where an answer stays without a partner.

    Greedy, and every other answer first: the place moves on over a list from which the paired answer is gone.
    The tolerance is that of the prediction's place, though the file lists them in the gold answers' order.
    """
    place, rule = -1, ""
    while predictions:
        place = (place + 1) % len(predictions)
        prediction, tolerance = predictions[place], tolerances[place]
        for gold in golds:
            rule = _rule(prediction, gold, tolerance, fork)
            if rule:
                predictions.remove(prediction)
                golds.remove(gold)
                tolerances.remove(tolerance)
                break
        else:
            return ""
    return rule or "empty"


def _rule(first: str, second: str, tolerance: float, fork: bool) -> str:
    if first == second != "":
        return "text"
    if _is_interval(first) and _is_interval(second):
        try:
            if _intervals_equal(first, second, tolerance, fork):
                return "interval"
        except Exception:
            return ""
    try:
        if _numbers_equal(first, second, tolerance):
            return "number"
    except ValueError:
        pass
    try:
        if _expressions_equal(first, second, tolerance, fork) and not ("=" in first and "=" in second):
            return "expression"
    except Exception:
        pass
    try:
        if _equations_equal(first, second):
            return "equation"
    except Exception:
        pass
    return ""


def _is_interval(text: str) -> bool:
    return text.startswith(("(", "[")) and text.endswith((")", "]"))


def _intervals_equal(first: str, second: str, tolerance: float, fork: bool) -> bool:
    parts_first, parts_second = first.split("\\cup"), second.split("\\cup")
    return len(parts_first) == len(parts_second) and all(
        _one_interval_equal(a, b, tolerance, fork) for a, b in zip(parts_first, parts_second, strict=True)
    )


def _one_interval_equal(first: str, second: str, tolerance: float, fork: bool) -> bool:
    if first[0] != second[0] or first[-1] != second[-1]:
        return False
    items_first, items_second = first.strip("[]()").split(","), second.strip("[]()").split(",")
    # Of different lengths, only the shorter's places are compared.
    pairs = zip(items_first, items_second, strict=False)
    return all(_expressions_equal(a, b, tolerance, fork) for a, b in pairs)


def _numbers_equal(first: str, second: str, tolerance: float) -> bool:
    """As they are or as percentages, whether or not there is a sign."""
    number, reference = float(first), float(second)
    return any(abs(n - reference) <= tolerance * _SLACK for n in (number / 100, number, number * 100))


def _expressions_equal(first: str, second: str, tolerance: float, fork: bool) -> bool:
    a, b = (parse(text.split("=")[1].strip() if "=" in text else text.strip()) for text in (first, second))
    if a == b:
        return True
    if fork:
        raise _Swallowed
    a, b = (expression.subs(sympy.Symbol("pi"), math.pi) for expression in (a, b))
    if a.has(sympy.Symbol) != b.has(sympy.Symbol):
        return False
    return _symbolic_equal(a, b) if a.has(sympy.Symbol) else _values_equal(a, b, tolerance)


def _values_equal(a: Any, b: Any, tolerance: float) -> bool:
    try:
        return (
            _is_computable(a) and _is_computable(b) and bool(abs(a.evalf() - b.evalf()) <= tolerance * _SLACK)
        )
    except Exception:
        return False


def _is_computable(value: Any) -> bool:
    """False for a power with a large exponent; one deeper in the expression is not seen."""
    if not isinstance(value, sympy.Pow):
        return True
    base, exponent = value.as_base_exp()
    return bool(base.is_number and exponent.is_number and not abs(exponent.evalf()) > _MAX_EXPONENT)


def _symbolic_equal(a: Any, b: Any) -> bool:
    try:
        close = abs(sympy.simplify(a - b).evalf()) < _SYMBOLIC_TOLERANCE
    except Exception:
        return False
    return bool(close)  # raises where symbols are left, which ends the comparison of intervals


def _equations_equal(first: str, second: str) -> bool:
    """Whether one is an integer multiple of the other."""
    a, b = _difference(first), _difference(second)
    return any(q.is_Integer and q != 0 for q in (sympy.simplify(a / b), sympy.simplify(b / a)))


def _difference(equation: str) -> Any:
    left, right = equation.split("=")
    parsed = sympy.Eq(parse(left), parse(right))
    return sympy.simplify(parsed.lhs - parsed.rhs)

"""Arithmetic and functions on values: exact where rational, else floating point, and never large."""

import cmath
import math
from collections.abc import Callable
from fractions import Fraction

MAX_BITS = 1 << 14
"""Larger integers are not computed."""


Value = int | Fraction | float | complex


class NoValue(ValueError):
    """The tree has no value here: a set, a division by zero, a number beyond all caps."""


def times(left: Value, right: Value) -> Value:
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() + right.bit_length() > MAX_BITS:
        raise NoValue("too many digits")
    return checked(left * right)


def checked(number: Value) -> Value:
    if (
        isinstance(number, Fraction)
        and number.denominator.bit_length() + number.numerator.bit_length() > MAX_BITS
    ):
        raise NoValue("too many digits")
    return number


def absolute(number: Value) -> int | Fraction | float:
    """The absolute value, exact where the number is."""
    if isinstance(number, complex):
        return abs(number)
    return -number if number < 0 else number


def divide(left: Value, right: Value) -> Value:
    """The quotient, exact where both are."""
    if isinstance(left, int | Fraction) and isinstance(right, int | Fraction):
        quotient = Fraction(left) / right
        checked(quotient)
        return quotient.numerator if quotient.denominator == 1 else quotient
    return left / right


def power(base: Value, exponent: Value) -> Value:
    """The power, exact where it is rational and has no more than MAX_BITS."""
    if isinstance(exponent, int) and isinstance(base, int | Fraction):
        size = max(base.numerator.bit_length(), base.denominator.bit_length())
        if size * abs(exponent) > MAX_BITS:
            if abs(base) == 1 or base == 0:
                return base ** (exponent % 2) if abs(base) == 1 else 0
            raise NoValue("too many digits")
        return Fraction(base) ** exponent if exponent < 0 else base**exponent
    if isinstance(exponent, Fraction) and isinstance(base, int | Fraction) and base >= 0:
        exact = _exact_root(base, exponent)
        if exact is not None:
            return exact
    return (
        complex(base) ** exponent
        if isinstance(base, complex) or _negative(base)
        else _float(base) ** exponent
    )


def _negative(number: Value) -> bool:
    return not isinstance(number, complex) and number < 0


def _float(number: Value) -> float | complex:
    return number if isinstance(number, complex) else float(number)


def _exact_root(base: int | Fraction, exponent: Fraction) -> Value | None:
    """A rational power that is rational, such as 8^(2/3)."""
    if exponent.denominator > 6 or base.numerator.bit_length() > 512 or base.denominator.bit_length() > 512:
        return None
    roots = [round(part ** (1 / exponent.denominator)) for part in (base.numerator, base.denominator)]
    if (
        roots[0] ** exponent.denominator != base.numerator
        or roots[1] ** exponent.denominator != base.denominator
    ):
        return None
    return power(divide(*roots), exponent.numerator)


def _sqrt(number: Value) -> Value:
    if isinstance(number, complex) or number < 0:
        return cmath.sqrt(number)
    return power(number, Fraction(1, 2)) if isinstance(number, int | Fraction) else math.sqrt(number)


def _root(number: Value, index: Value) -> Value:
    if _negative(number) and isinstance(index, int) and index % 2:
        return -_root(-number, index)
    if not index:
        raise NoValue("no such root")
    return power(number, divide(1, index))


def _factorial(number: Value) -> Value:
    if isinstance(number, int) and number >= 0:
        if number > 1000:
            raise NoValue("too many digits")
        return math.factorial(number)
    return math.gamma(_real(number) + 1)


def _factorial2(number: Value) -> Value:
    if not isinstance(number, int) or not -1 <= number <= 1000:
        raise NoValue("no double factorial")
    return math.prod(range(number, 0, -2))


def _binom(upper: Value, lower: Value) -> Value:
    if isinstance(upper, int) and isinstance(lower, int) and 0 <= upper <= 2000 and lower >= 0:
        return math.comb(upper, lower)
    return (
        math.gamma(_real(upper) + 1)
        / math.gamma(_real(lower) + 1)
        / math.gamma(_real(upper) - _real(lower) + 1)
    )


def _real(number: Value) -> float:
    if isinstance(number, complex):
        raise NoValue("not real")
    return float(number)


def _either(
    real: Callable[[float], float], imaginary: Callable[[complex], complex]
) -> Callable[[Value], Value]:
    def function(number: Value) -> Value:
        if isinstance(number, complex):
            return imaginary(number)
        try:
            return real(float(number))
        except ValueError:
            return imaginary(complex(number))

    return function


def _log_base(number: Value, base: Value) -> Value:
    return divide(FUNCTIONS["ln"](number), FUNCTIONS["ln"](base))


def _integers(function: Callable[..., int]) -> Callable[..., Value]:
    def checked(*numbers: Value) -> Value:
        if not all(isinstance(number, int) for number in numbers):
            raise NoValue("not integers")
        return function(*numbers)

    return checked


FUNCTIONS: dict[str, Callable[..., Value]] = {
    "sqrt": _sqrt,
    "root": _root,
    "factorial": _factorial,
    "factorial2": _factorial2,
    "binom": _binom,
    "logb": _log_base,
    "ln": _either(math.log, cmath.log),
    "log": _either(math.log, cmath.log),
    "lg": _either(math.log10, cmath.log10),
    "exp": _either(math.exp, cmath.exp),
    "sin": _either(math.sin, cmath.sin),
    "cos": _either(math.cos, cmath.cos),
    "tan": _either(math.tan, cmath.tan),
    "cot": lambda x: 1 / FUNCTIONS["tan"](x),
    "sec": lambda x: 1 / FUNCTIONS["cos"](x),
    "csc": lambda x: 1 / FUNCTIONS["sin"](x),
    "arcsin": _either(math.asin, cmath.asin),
    "arccos": _either(math.acos, cmath.acos),
    "arctan": _either(math.atan, cmath.atan),
    "sinh": _either(math.sinh, cmath.sinh),
    "cosh": _either(math.cosh, cmath.cosh),
    "tanh": _either(math.tanh, cmath.tanh),
    "floor": lambda x: math.floor(_real(x)),
    "ceil": lambda x: math.ceil(_real(x)),
    "max": lambda *x: max(map(_real, x)),
    "min": lambda *x: min(map(_real, x)),
    "gcd": _integers(math.gcd),
    "lcm": _integers(math.lcm),
}

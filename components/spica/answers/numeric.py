"""Values of trees: exact where rational, else floating point, at fixed points where there are symbols.

Two expressions that agree at all points are the same function but for a chance that does not matter; nothing
is simplified.
"""

import math
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple
from zlib import crc32

from spica.answers.functions import FUNCTIONS, NoValue, Value, absolute, checked, divide, power, times
from spica.answers.tree import Measure, Node, Num, Op, Sym
from spica.answers.units import UNITS

NUM_POINTS = 4
"""With positive symbols, as quantities are; where `|x|` is written, as many with both signs follow."""


class Reading(NamedTuple):
    """How a tree is read: which point, what degrees, percents and units count for."""

    point: int = 0
    degree: float = 1.0
    """Of an angle that stands by itself; within a function it is always in radians."""
    percent: Fraction = Fraction(1, 100)
    units: str = "sizes"
    """`sizes`: as measured in SI; `letters`: bare ones are products of symbols; `dropped`: they are 1."""
    bound: tuple[tuple[str, int], ...] = ()
    """Indices of sums and their values."""


PLAIN = Reading()
_CONSTANTS: dict[str, Value] = {"pi": math.pi, "e": math.e, "i": 1j, "infty": math.inf}


_INTEGERS = frozenset("nkmNMjl")
_SMALL = frozenset("kmjl")
"""Of these the smaller ones, so that `(n-k)!` has a value."""


@lru_cache(maxsize=4096)
def _symbol(name: str, point: int) -> Value:
    """A fixed number for a name at a point: integer for names of counts, so that (-1)^n is real."""
    mixed = crc32(f"{name}@{point}".encode()) * 2654435761 % 2**32
    if name[0] in _INTEGERS and (len(name) == 1 or name[1] in "_'"):
        return (2 if name[0] in _SMALL else 9) + mixed % 5 + (point + len(name)) % 2
    size = 0.3 + 2.4 * mixed / 2**32
    return -size if point >= NUM_POINTS and (mixed & 1 or point % 2) else size


def value(node: Node, reading: Reading = PLAIN) -> Value:
    """The value of an expression.

    Raises:
        NoValue: it has none.
    """
    try:
        return _value(node, reading)
    except (OverflowError, ZeroDivisionError, ValueError, TypeError, RecursionError) as error:
        raise NoValue(str(error)) from None


def _value(node: Node, reading: Reading) -> Value:
    match node:
        case Num(number, _):
            return number
        case Sym(name):
            if reading.bound:
                name = _bound(name, reading.bound)
            constant = _CONSTANTS.get(name)
            if constant is not None:
                return constant
            return int(name) if name.lstrip("-").isdecimal() else _symbol(name, reading.point)
        case Measure(name, bare):
            return _measure(name, bare, reading)
        case Op(name, args):
            return _operation(name, args, reading)
    raise NoValue(f"{type(node).__name__} is no expression")


def _measure(name: str, bare: bool, reading: Reading) -> Value:
    if reading.units == "dropped":
        return 1
    if bare and reading.units == "letters":
        product: Value = 1
        for letter in name:
            product = times(product, _value(Sym(letter), reading))
        return product
    unit = UNITS.get(name)
    if unit is None:
        return 1
    size: Value = unit.scale
    for base, exponent in unit.dimensions:
        size = times(size, _symbol(f"unit {base}", 0) ** exponent)
    return size


def _operation(name: str, args: tuple[Node, ...], reading: Reading) -> Value:
    match name:
        case "add":
            total = _value(args[0], reading)
            for arg in args[1:]:
                total = checked(total + _value(arg, reading))
            return total
        case "neg":
            return -_value(args[0], reading)
        case "mul":
            return times(_value(args[0], reading), _value(args[1], reading))
        case "div":
            return divide(_value(args[0], reading), _value(args[1], reading))
        case "pow":
            return power(_value(args[0], reading), _value(args[1], reading))
        case "deg":
            angle = _value(args[0], reading)
            return angle if reading.degree == 1.0 else times(angle, reading.degree)
        case "pct":
            return times(_value(args[0], reading), reading.percent)
        case "abs":
            return absolute(_value(args[0], reading))
        case "base":
            return _in_base(args[0], args[1])
        case "sum" | "prod":
            return _repeated(name, args, reading)
    if name.startswith("call "):
        return _unknown(name, [_value(arg, reading) for arg in args], reading)
    within = reading._replace(degree=math.pi / 180)
    function = FUNCTIONS.get(name)
    if function is None:
        raise NoValue(f"{name} is no expression")
    return function(*(_value(arg, within) for arg in args))


_MAX_TERMS = (400, 40)
"""Of a sum, and of one within it."""


def _repeated(name: str, args: tuple[Node, ...], reading: Reading) -> Value:
    """A sum or a product, term by term."""
    index, low, high, term = args
    first, last = _value(low, reading), _value(high, reading)
    depth = len(reading.bound)
    if not (isinstance(index, Sym) and isinstance(first, int) and isinstance(last, int)) or depth >= len(
        _MAX_TERMS
    ):
        raise NoValue("no ends to count between")
    if last - first >= _MAX_TERMS[depth]:
        raise NoValue("too many terms")
    total: Value = 0 if name == "sum" else 1
    for number in range(first, last + 1):
        one = _value(term, reading._replace(bound=(*reading.bound, (index.name, number))))
        total = checked(total + one) if name == "sum" else times(total, one)
    return total


def _bound(name: str, bound: tuple[tuple[str, int], ...]) -> str:
    """A symbol with the indices in it replaced: k by 3, and a_k by a_3."""
    stem, mark, subscript = name.partition("_")
    for index, number in bound:
        if name == index:
            return str(number)
        subscript = subscript.replace(index, str(number))
    return stem + mark + subscript


def _unknown(name: str, args: list[Value], reading: Reading) -> Value:
    """A function nobody knows: a fixed number per name and arguments."""
    rounded = ",".join(f"{complex(arg):.9g}" for arg in args)
    return _symbol(f"{name}({rounded})", reading.point)


def _in_base(digits: Node, base: Node) -> Value:
    if not (
        isinstance(digits, Num)
        and isinstance(base, Num)
        and isinstance(base.value, int)
        and 2 <= base.value <= 16
    ):
        raise NoValue("no number in a base")
    return int(str(digits.value), base.value)

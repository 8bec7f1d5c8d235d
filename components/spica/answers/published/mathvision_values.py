"""Numbers as MATH-V's program computes them: printed as text of Python by sympy 1.12, then evaluated.

The text is a product's undoing: sympy 1.12 leaves the brackets of a divisor out when an unevaluated product
begins with a negative number, so the program takes -1/(2*sqrt(3)) for -1/2*sqrt(3). Products therefore stay
products until their value is asked for.
"""

import math
from fractions import Fraction
from typing import Final, NamedTuple

MAX_BITS: Final = 1_000_000
"""Of an integer; the program computes on, for ever if need be."""


class Unreadable(Exception):
    """The program fails on this text."""


class Computed(NamedTuple):
    """The value of whatever is neither a written number nor a product: a sum, a power, a function."""

    value: int | float


class Inverse(NamedTuple):
    """What stands under a fraction line, or has the exponent -1."""

    of: "Node"


class Product(NamedTuple):
    factors: tuple["Node", ...]


Node = int | Fraction | Computed | Inverse | Product
"""An int or a Fraction that is no integer is a number as written."""


def number(text: str) -> Node:
    """A number as written, with commas between thousands or a percent sign."""
    value = Fraction(text.removesuffix("\\%").replace(",", "")) / (100 if text.endswith("%") else 1)
    return value.numerator if value.denominator == 1 else value


def evaluate(node: Node) -> int | float:
    """Value of the text that the program prints for `node`."""
    match node:
        case Computed():
            return node.value
        case Product():
            return _product(node.factors)
        case Inverse():
            return 1 / evaluate(node.of)
        case Fraction():
            return node.numerator / node.denominator
    return node


def add(left: Node, right: Node) -> Node:
    """A sum; `right` is negated by the caller."""
    return Computed(evaluate(left) + evaluate(right))


def negate(node: Node) -> Node:
    """A written number changes its sign, all else is multiplied by -1."""
    return -node if isinstance(node, int | Fraction) else times(-1, node)


def times(left: Node, right: Node) -> Node:
    """A product; one within a product is dissolved in it."""
    factors: list[Node] = []
    for side in (left, right):
        factors.extend(side.factors if isinstance(side, Product) else (side,))
    return Product(tuple(factors))


def over(left: Node, right: Node) -> Node:
    """A quotient is a product of two, whatever they are."""
    return Product((left, Inverse(right)))


def power(base: Node, exponent: Node) -> Node:
    """A power.

    Raises:
        Unreadable: complex, or too large.
    """
    if exponent == -1:
        return Inverse(base)
    below, above = evaluate(base), evaluate(exponent)
    if isinstance(below, int) and isinstance(above, int) and below.bit_length() * abs(above) > MAX_BITS:
        raise Unreadable("too large")
    value = below**above
    if isinstance(value, complex):
        raise Unreadable("complex")
    return Computed(value)


def factorial(node: Node) -> Node:
    """Of an integer; a quotient is none, even if nothing is left over."""
    value = evaluate(node)
    if not isinstance(value, int) or not 0 <= value <= 20_000:
        raise Unreadable("factorial of a fraction, or too large")
    return Computed(math.factorial(value))


def choose(above: Node, below: Node) -> Node:
    """A binomial coefficient of written integers."""
    if not isinstance(above, int) or not isinstance(below, int) or not 0 <= above <= 20_000:
        raise Unreadable("binomial of other than small integers")
    return math.comb(above, below) if below >= 0 else 0


def exponential(exponent: Node) -> Node:
    """A power of e; e itself is printed as E, which has no value in the program."""
    if exponent == 1:
        raise Unreadable("e is printed as E, which has no value there")
    return 1 if exponent == 0 else Computed(math.exp(evaluate(exponent)))


def _product(factors: tuple[Node, ...]) -> int | float:
    """Value of the text printed for a product."""
    first = factors[0]
    negative = isinstance(first, int | Fraction) and first < 0
    above = [factor for factor in factors if not isinstance(factor, Inverse)]
    below = [factor.of for factor in factors if isinstance(factor, Inverse)]
    as_written = first == 1 or any(isinstance(factor, int | Fraction) for factor in factors[1:])
    value: int | float = 1
    for factor in above:
        value = _multiplied(value, factor, bare=negative)
    match below:
        case []:
            return value
        case [Fraction() as divisor] if negative and divisor > 0 and (as_written or isinstance(first, int)):
            return value / divisor.numerator / divisor.denominator
        case [Product() as divisor] if negative and as_written and not _is_negative(divisor):
            return _over_bare(value, divisor)
    divided: int | float = first.denominator if isinstance(first, Fraction) and not as_written else 1
    value = _capped(value, divided)
    for divisor_node in below:
        divided = _capped(divided, evaluate(divisor_node))
    return value / divided


def _multiplied(value: int | float, factor: Node, bare: bool) -> int | float:
    if bare and isinstance(factor, Fraction):
        return _capped(value, factor.numerator) / factor.denominator
    return _capped(value, evaluate(factor))


def _capped(left: int | float, right: int | float) -> int | float:
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() + right.bit_length() > MAX_BITS:
        raise Unreadable("too large")
    return left * right


def _is_negative(product: Product) -> bool:
    return isinstance(product.factors[0], int | Fraction) and product.factors[0] < 0


def _over_bare(value: int | float, divisor: Product) -> int | float:
    """`value` over a product whose brackets are not printed: its first factor alone is under the line."""
    above = [factor for factor in divisor.factors if not isinstance(factor, Inverse)]
    first = above[0] if above else 1
    single = len([factor for factor in divisor.factors[1:] if isinstance(factor, int | Fraction)]) == 0
    under = first.numerator if isinstance(first, Fraction) and single else evaluate(first)
    return value / under * (evaluate(divisor) / under)

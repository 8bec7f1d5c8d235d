"""The typed tree of an answer; what `spica.answers.parse` makes and `spica.answers.numeric` gives a value."""

from fractions import Fraction
from typing import NamedTuple


class NotMath(ValueError):
    """The text is no mathematics that this grammar knows; nothing is said about what it means."""


class Beyond(NotMath):
    """Mathematics that this grammar does not know, such as an integral."""


class Num(NamedTuple):
    """A number as written; `decimal` when it has a point or an exponent, so may be rounded."""

    value: int | Fraction
    decimal: bool


class Sym(NamedTuple):
    r"""A symbol with its subscript and primes: `x`, `a_n`, `\\alpha`."""

    name: str


class Measure(NamedTuple):
    """A unit or a label behind a number; `bare` when only its place tells it from a product of symbols."""

    name: str
    bare: bool


class Op(NamedTuple):
    """An operation: add, neg, mul, div, pow, pm, deg, pct, sum, a function's name, call f, set, cup ..."""

    name: str
    args: tuple["Node", ...]


class Seq(NamedTuple):
    """Two or more items in brackets: an interval or a tuple, the brackets tell."""

    left: str
    items: tuple["Node", ...]
    right: str


class Rel(NamedTuple):
    """A chain such as `1 < x <= 3`: one more side than relations."""

    relations: tuple[str, ...]
    sides: tuple["Node", ...]


class Many(NamedTuple):
    """Several answers, in the order written."""

    items: tuple["Node", ...]


Node = Num | Sym | Measure | Op | Seq | Rel | Many


def contains(node: Node, *names: str) -> bool:
    """Whether an operation of one of these names is anywhere in the tree."""
    return any(isinstance(part, Op) and part.name in names for part in walk(node))


def symbols(node: Node) -> set[str]:
    """Names of the symbols in the tree."""
    return {part.name for part in walk(node) if isinstance(part, Sym)}


def walk(node: Node) -> list[Node]:
    """Every node of the tree."""
    found: list[Node] = [node]
    for part in found:
        match part:
            case Op(_, args):
                found.extend(args)
            case Seq(_, items, _) | Many(items):
                found.extend(items)
            case Rel(_, sides):
                found.extend(sides)
    return found

"""Equations and inequalities: what one says a quantity is, and whether two say the same."""

from collections.abc import Iterator, Sequence

from spica.answers.expressions import values_at_points
from spica.answers.functions import NoValue, Value
from spica.answers.numeric import Reading, value
from spica.answers.realset import CONSTANTS
from spica.answers.tree import Many, Measure, Node, Op, Rel, Seq, Sym, symbols


def results(relation: Rel, strict: bool) -> Iterator[Node]:
    """What an equation says a quantity is: `x = 1`, `a + b = 3`, `f(x) = x^2`, `a = b = 3`, `1 = x`.

    strict: for a gold equation, where a sum on the left makes it an equation and no quantity.
    """
    if not set(relation.relations) <= {"=", "~"}:
        return
    sides = relation.sides
    start = sides[0]
    if is_quantity(start) and not (strict and isinstance(start, Op) and start.name == "add"):
        yield from _segments(relation)
    elif len(sides) == 2 and isinstance(sides[1], Sym) and not _is_constant(sides[1]):
        yield start
    elif len(sides) > 2 or all(map(_is_constant, sides)):
        yield from _segments(relation)


def _segments(relation: Rel) -> Iterator[Node]:
    """The end of a chain of equations, before it is rounded; all it passes where it is one number."""
    sides = relation.sides
    exact = next((at for at, name in enumerate(relation.relations) if name == "~"), len(sides) - 1)
    end = sides[exact] if exact else sides[1]
    yield end
    if _agree(sides[1:]):
        yield from (side for side in sides[1:] if side is not end)


def _agree(sides: Sequence[Node]) -> bool:
    r"""Whether the numbers of a chain are one number as rounded: `2\\sqrt{3} \\approx 3.46`."""
    try:
        numbers = [complex(value(side)) for side in sides if _is_constant(side)]
    except (NoValue, OverflowError):
        return len(sides) == 1
    return all(abs(number - numbers[0]) <= 0.02 * abs(numbers[0]) for number in numbers)


def _is_constant(node: Node) -> bool:
    return not isinstance(node, Seq | Rel | Many) and not symbols(node) - CONSTANTS


def is_quantity(node: Node) -> bool:
    """Whether it names something and states nothing: letters without numbers, `f(2)`, `(x, y)`."""
    if isinstance(node, Op) and node.name.startswith("call "):
        return True
    match node:
        case Op(_, args):
            return all(map(is_quantity, args))
        case Seq(_, items, _):
            return all(map(is_quantity, items))
        case Sym(name):
            return name not in ("pi", "infty")
        case Measure():
            return True
    return False


TURNED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}


def _difference(relation: Rel) -> Node:
    return Op("add", (relation.sides[0], Op("neg", (relation.sides[1],))))


def same_equation(answer: Rel, gold: Rel) -> bool:
    """Whether one is the other times a constant that is not zero."""
    return proportional(list(values_at_points(_difference(answer), _difference(gold), Reading(), Reading())))


def same_inequality(answer: Rel, gold: Rel) -> bool:
    pairs = list(values_at_points(_difference(answer), _difference(gold), Reading(), Reading()))
    if not proportional(pairs):
        return False
    try:
        ratio = next(complex(a / b).real for a, b in pairs if b)
    except OverflowError as error:
        raise NoValue(str(error)) from None
    return (answer.relations[0] if ratio > 0 else TURNED.get(answer.relations[0])) == gold.relations[0]


def proportional(pairs: Sequence[tuple[Value, Value]]) -> bool:
    """Whether all pairs have one ratio that is not zero.

    Raises:
        NoValue: a number is too large to be divided.
    """
    try:
        some = [(complex(a), complex(b)) for a, b in pairs if a or b]
        if not some or not all(b for _, b in some):
            return False
        first = some[0][0] / some[0][1]
        return first != 0 and all(abs(a / b - first) <= 1e-8 * abs(first) for a, b in some)
    except OverflowError as error:
        raise NoValue(str(error)) from None

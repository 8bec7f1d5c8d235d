"""Sets of real numbers as unions of intervals: from brackets, inequalities, unions, finite sets."""

import math
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import NamedTuple

from spica.answers.functions import NoValue
from spica.answers.numeric import Reading, value
from spica.answers.tree import Many, Node, Num, Op, Rel, Seq, Sym, contains, symbols, walk

CONSTANTS = frozenset(("pi", "e", "i", "infty"))
"""Symbols that have one value."""

_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


class Piece(NamedTuple):
    """An interval; a point has equal ends, both closed."""

    low: float
    low_closed: bool
    high: float
    high_closed: bool


Pieces = list[Piece]
_ALL = [Piece(-math.inf, False, math.inf, False)]


def is_set(node: Node) -> bool:
    """Whether it can only be read as a set (two numbers in round brackets may also be a point)."""
    match node:
        case Op(name, _):
            return name in ("cup", "cap", "setminus", "emptyset", "reals")
        case Rel(relations, _):
            return any(name in _MIRRORED or name == "!=" for name in relations) or relations[-1:] == ("in",)
        case Seq(left, items, right):
            return len(items) == 2 and (
                left + right != "()" or any(Sym("infty") in _parts(item) for item in items)
            )
        case Many(items):
            return any(isinstance(item, Rel) and is_set(item) for item in items)
    return False


def _parts(node: Node) -> tuple[Node, ...]:
    return (node, *node.args) if isinstance(node, Op) else (node,)


def real_set(node: Node) -> Pieces:
    """The set that a tree stands for.

    Raises:
        NoValue: it is no set of real numbers, or an end of it is no number.
    """
    match node:
        case Seq(left, (low, high), right):
            if _number(low) > _number(high):
                raise NoValue("no interval but a pair")
            return _tidy([Piece(_number(low), left == "[", _number(high), right == "]")])
        case Op("set", items):
            return _tidy(Piece(point, True, point, True) for point in map(_number, items))
        case Op("cup", (left, right)):
            return _tidy(real_set(left) + real_set(right))
        case Op("cap", (left, right)):
            return _meet(real_set(left), real_set(right))
        case Op("setminus", (left, right)):
            return _outside(_tidy(_outside(real_set(left)) + real_set(right)))
        case Op("reals", _):
            return _ALL
        case Op("emptyset", _):
            return []
        case Rel(("in",), (_, members)):
            return real_set(members)
        case Rel(relations, sides):
            return _solutions(relations, sides)
        case Many(items):
            return _several([real_set(item) for item in items])
    point = _number(node)
    return [Piece(point, True, point, True)]


def subject(node: Node) -> str | None:
    """The one letter that an inequality or membership is about; None for anything else."""
    if isinstance(node, Rel):
        names = [side.name for side in node.sides if isinstance(side, Sym) and side.name not in CONSTANTS]
        return names[0] if len(names) == 1 else None
    if isinstance(node, Many):
        names = [name for name in map(subject, node.items) if name]
        return names[0] if len(set(names)) == 1 else None
    return None


def same_pieces(first: Pieces, second: Pieces, close: Callable[[float, float], bool]) -> bool:
    """Whether two sets are one, their ends compared by `close`."""
    if len(first) != len(second):
        return False
    return all(
        one.low_closed == other.low_closed
        and one.high_closed == other.high_closed
        and close(one.low, other.low)
        and close(one.high, other.high)
        for one, other in zip(first, second, strict=True)
    )


def _number(node: Node) -> float:
    if symbols(node) - CONSTANTS:
        raise NoValue("an end that is no number")
    found = value(node)
    if isinstance(found, complex):
        raise NoValue("an end that is not real")
    end = _float(found)
    if math.isnan(end):
        raise NoValue("an end that is not real")
    return end


def _solutions(relations: tuple[str, ...], sides: tuple[Node, ...]) -> Pieces:
    """Values of the one side that is no number."""
    unknown = [place for place, side in enumerate(sides) if symbols(side) - CONSTANTS]
    if len(unknown) != 1 or not set(relations) <= {*_MIRRORED, "!=", "="}:
        raise NoValue("no inequality in one unknown")
    place, found = unknown[0], _ALL
    for at, relation in enumerate(relations):
        if at == place:  # unknown on the left
            bound, name = sides[at + 1], relation
        elif at + 1 == place:
            bound, name = sides[at], _MIRRORED.get(relation, relation)
        else:
            continue
        found = _meet(found, _half(name, _number(bound)))
    return _about_symbol(sides[place], found)


def _about_symbol(side: Node, found: Pieces) -> Pieces:
    """What a set of values of `|x|` or `a x + b` means for x; a quantity such as `f(x)` is one, too."""
    if isinstance(side, Op) and side.name == "abs" and isinstance(side.args[0], Sym):
        found = _meet(found, [Piece(0.0, True, math.inf, False)])
        return _tidy(
            found + [Piece(-piece.high, piece.high_closed, -piece.low, piece.low_closed) for piece in found]
        )
    names = symbols(side) - CONSTANTS
    if isinstance(side, Sym) or (
        not any(isinstance(part, Num) for part in walk(side)) and not contains(side, "neg")
    ):
        return found
    if len(names) != 1:
        raise NoValue("no inequality in one unknown")
    (x0, y0), (x1, y1), (x2, y2) = (
        (_real(Sym(next(iter(names))), point), _real(side, point)) for point in range(3)
    )
    slope = (y1 - y0) / (x1 - x0) if x1 != x0 else 0.0
    if not slope or abs(y0 + slope * (x2 - x0) - y2) > 1e-9 * max(1.0, abs(y2)):
        raise NoValue("not linear")
    shift = y0 - slope * x0
    ends = [
        ((piece.low - shift) / slope, piece.low_closed, (piece.high - shift) / slope, piece.high_closed)
        for piece in found
    ]
    return _tidy(Piece(*end) if slope > 0 else Piece(end[2], end[3], end[0], end[1]) for end in ends)


def _real(node: Node, point: int) -> float:
    found = value(node, Reading(point=point))
    if isinstance(found, complex):
        raise NoValue("not real")
    return _float(found)


def _float(number: int | Fraction | float) -> float:
    try:
        return float(number)
    except OverflowError:
        raise NoValue("a number beyond all floats") from None


def _half(relation: str, bound: float) -> Pieces:
    if relation in ("<", "<="):
        return _tidy([Piece(-math.inf, False, bound, relation == "<=")])
    if relation in (">", ">="):
        return _tidy([Piece(bound, relation == ">=", math.inf, False)])
    point = [Piece(bound, True, bound, True)]
    return point if relation == "=" else _outside(point)


def _several(sets: list[Pieces]) -> Pieces:
    """Several conditions: any of them, or all of them where any would say nothing (`x > 1 and x < 3`)."""
    union = _tidy(piece for pieces in sets for piece in pieces)
    if union != _ALL:
        return union
    found = _ALL
    for pieces in sets:
        found = _meet(found, pieces)
    return found


def _meet(first: Pieces, second: Pieces) -> Pieces:
    return _outside(_tidy(_outside(first) + _outside(second)))


def _outside(pieces: Pieces) -> Pieces:
    """Everything else."""
    found, low, closed = list[Piece](), -math.inf, False
    for piece in pieces:
        found.append(Piece(low, closed, piece.low, not piece.low_closed))
        low, closed = piece.high, not piece.high_closed
    found.append(Piece(low, closed, math.inf, False))
    return _tidy(found)


def _tidy(pieces: Iterable[Piece]) -> Pieces:
    """Sorted, without empty pieces, touching ones joined."""
    found: Pieces = []
    for piece in sorted(pieces, key=lambda piece: (piece.low, not piece.low_closed)):
        low_closed = piece.low_closed and piece.low != -math.inf
        high_closed = piece.high_closed and piece.high != math.inf
        if piece.low > piece.high or (piece.low == piece.high and not (low_closed and high_closed)):
            continue
        piece = Piece(piece.low, low_closed, piece.high, high_closed)
        if found and (
            piece.low < found[-1].high
            or (piece.low == found[-1].high and (low_closed or found[-1].high_closed))
        ):
            last = found.pop()
            high, closed = max((last.high, last.high_closed), (piece.high, high_closed))
            piece = Piece(last.low, last.low_closed, high, closed)
        found.append(piece)
    return found

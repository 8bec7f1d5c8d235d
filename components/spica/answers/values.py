"""Whether two trees mean the same answer (protocol D5)."""

from collections.abc import Sequence

from spica.answers.expressions import ROUNDING, near, same_value
from spica.answers.functions import NoValue
from spica.answers.numeric import value
from spica.answers.realset import is_set, real_set, same_pieces, subject
from spica.answers.relations import TURNED, is_quantity, proportional, results, same_equation, same_inequality
from spica.answers.tree import Many, Node, Op, Rel, Seq, Sym, walk

_MAX_ITEMS = 64


def same(answer: Node, gold: Node, tolerances: Sequence[float] = ()) -> bool:
    """Whether an answer is the gold one; `tolerances`: absolute, one for all or one per gold answer.

    Raises:
        NoValue: neither yes nor no: an operation that has no value here.
    """
    answers, golds = _answers(answer), _answers(gold)
    if (isinstance(answer, Many | Op) and len(answers) > 1) or len(golds) > 1:
        return _same_many(answers, golds, tolerances, answer, gold)
    return _same_one(answers[0], golds[0], tolerances[0] if tolerances else None)


def _answers(node: Node) -> tuple[Node, ...]:
    """The answers in it, the signs of `±` written out; a set is its members, a condition is one answer."""
    if isinstance(node, Many) and not is_set(node):
        return tuple(single for item in node.items for single in _answers(item))
    if isinstance(node, Op) and node.name == "set":
        return tuple(single for item in node.args for single in _answers(item))
    match node:
        case Rel(("in",), (_, members)) | Rel(("=",), (_, Op("set", _) as members)):
            return _answers(members)
    if not isinstance(node, Seq) and any(
        isinstance(part, Op) and part.name in ("pm", "mp") for part in walk(node)
    ):
        return (_signed(node, 1), _signed(node, -1))
    return (node,)


def _signed(node: Node, sign: int) -> Node:
    match node:
        case Op("pm" | "mp" as name, (arg,)):
            inner = _signed(arg, sign)
            return inner if (sign == 1) == (name == "pm") else Op("neg", (inner,))
        case Op(name, args):
            return Op(name, tuple(_signed(arg, sign) for arg in args))
        case Rel(relations, sides):
            return Rel(relations, tuple(_signed(side, sign) for side in sides))
    return node


def _same_many(
    answers: tuple[Node, ...], golds: tuple[Node, ...], tolerances: Sequence[float], answer: Node, gold: Node
) -> bool:
    if is_set(answer) or is_set(gold):
        return _same_set(answer, gold, tolerances[0] if len(tolerances) == 1 else None)
    if len(answers) == 1 and isinstance(answers[0], Seq) and answers[0].left + answers[0].right == "()":
        answers = answers[0].items
    if len(golds) == 1 and isinstance(golds[0], Seq) and golds[0].left + golds[0].right == "()":
        return isinstance(answer, Many) and _in_order(answers, golds[0].items, tolerances)
    if max(len(answers), len(golds)) > _MAX_ITEMS:
        return False
    names = [_name(item) for item in golds]
    if None not in names and len(set(names)) == len(names) and not _numbered(names):
        return _same_named(answers, golds, names, tolerances)
    return _matched(answers, golds, tolerances)


def _same_named(
    answers: tuple[Node, ...], golds: tuple[Node, ...], names: list[str | None], tolerances: Sequence[float]
) -> bool:
    """Values of several unknowns: by name where the answer names them, in order where it does not."""
    given = [_name(item) for item in answers]
    if set(given) == set(names):
        order = [given.index(name) for name in names]
        return _in_order([answers[place] for place in order], golds, tolerances)
    if all(name is None for name in given):
        return _in_order(answers, golds, tolerances)
    return _matched(answers, golds, tolerances)


def _numbered(names: list[str | None]) -> bool:
    """`x_1, x_2, x_3`: one unknown, its solutions numbered."""
    stems = {(name or "").partition("_")[0] for name in names}
    return len(stems) == 1 and sorted((name or "").partition("_")[2] for name in names) == [
        str(number) for number in range(1, len(names) + 1)
    ]


def _name(node: Node) -> str | None:
    return (
        str(node.sides[0])
        if isinstance(node, Rel) and node.relations[0] == "=" and is_quantity(node.sides[0])
        else None
    )


def _in_order(answers: Sequence[Node], golds: Sequence[Node], tolerances: Sequence[float]) -> bool:
    return len(answers) == len(golds) and all(
        same(answer, gold, _nth(tolerances, place))
        for place, (answer, gold) in enumerate(zip(answers, golds, strict=True))
    )


def _nth(tolerances: Sequence[float], place: int) -> Sequence[float]:
    return tolerances[place : place + 1] if len(tolerances) > 1 else tolerances


def _matched(answers: tuple[Node, ...], golds: tuple[Node, ...], tolerances: Sequence[float]) -> bool:
    """Whether they pair up in some order; what is said twice counts once."""
    left = [item for place, item in enumerate(answers) if item not in answers[:place]]
    for place, gold in enumerate(golds):
        for candidate in left:
            if same(candidate, gold, _nth(tolerances, place)):
                left.remove(candidate)
                break
        else:
            return False
    return not left


def _same_one(answer: Node, gold: Node, tolerance: float | None) -> bool:
    if is_set(answer) or is_set(gold):
        return _same_set(answer, gold, tolerance)
    match answer, gold:
        case Rel(), Rel():
            return _same_relation(answer, gold, tolerance)
        case Rel(), _:
            return any(same(part, gold, _one(tolerance)) for part in results(answer, strict=False))
        case _, Rel():
            return any(same(answer, part, _one(tolerance)) for part in results(gold, strict=True))
        case Seq(), Seq():
            return _same_brackets(answer, gold) and _in_order(answer.items, gold.items, _one(tolerance))
        case Op("matrix", rows), Op("matrix", others):
            return [len(row.args) for row in rows] == [len(row.args) for row in others] and _in_order(  # type: ignore[union-attr]
                _cells(answer), _cells(gold), _one(tolerance)
            )
        case (Op("matrix", _), Seq()) | (Seq(), Op("matrix", _)):
            return _in_order(_cells(answer), _cells(gold), _one(tolerance))
        case Op("ratio", parts), Op("ratio", others):
            return len(parts) == len(others) and proportional(
                [(value(part), value(other)) for part, other in zip(parts, others, strict=True)]
            )
        case (Seq(), _) | (_, Seq()):
            return False
    return same_value(answer, gold, tolerance)


def _one(tolerance: float | None) -> Sequence[float]:
    return () if tolerance is None else (tolerance,)


def _cells(node: Node) -> list[Node]:
    if isinstance(node, Seq):
        return list(node.items)
    return (
        [cell for row in node.args if isinstance(row, Op) for cell in row.args]
        if isinstance(node, Op)
        else []
    )


def _same_brackets(answer: Seq, gold: Seq) -> bool:
    return len(gold.items) > 2 or _open(answer) == _open(gold)


def _open(seq: Seq) -> tuple[bool, bool]:
    return (seq.left != "[", seq.right != "]")


def _same_set(answer: Node, gold: Node, tolerance: float | None) -> bool:
    def close(one: float, other: float) -> bool:
        within = tolerance is not None and abs(one - other) <= tolerance * (1 + 1e-9)
        return within or near(one, other, ROUNDING, ROUNDING)

    first, second = subject(answer), subject(gold)
    if first and second and first != second:
        return False
    try:
        return same_pieces(real_set(answer), real_set(gold), close)
    except NoValue:
        return _same_shape(_as_interval(answer), _as_interval(gold), tolerance)


def _as_interval(node: Node) -> Node:
    """`a < x < b` as the bracket `(a, b)`, for ends that are no numbers."""
    match node:
        case Rel(("in",), (_, members)):
            return members
        case Rel(("<" | "<=" as left, "<" | "<=" as right), (low, Sym(), high)):
            return Seq("[" if left == "<=" else "(", (low, high), "]" if right == "<=" else ")")
        case Rel((">" | ">=" as left, ">" | ">=" as right), (high, Sym(), low)):
            return Seq("[" if right == ">=" else "(", (low, high), "]" if left == ">=" else ")")
    return node


def _same_shape(answer: Node, gold: Node, tolerance: float | None) -> bool:
    match answer, gold:
        case Seq(), Seq():
            return _same_brackets(answer, gold) and _in_order(answer.items, gold.items, _one(tolerance))
        case Rel(), Rel():
            return _same_relation(answer, gold, tolerance)
        case Op(name, args), Op(other, others) if (
            name == other and len(args) == len(others) and name in ("cup", "cap")
        ):
            return any(
                all(_same_shape(one, two, tolerance) for one, two in zip(args, order, strict=True))
                for order in (others, others[::-1])
            )
        case Op("cup" | "cap" | "setminus" | "reals" | "emptyset", _), _:
            return False
        case _, Op("cup" | "cap" | "setminus" | "reals" | "emptyset", _):
            return False
        case Many(items), Many(others):
            return len(items) == len(others) and all(
                any(_same_shape(one, two, tolerance) for two in others) for one in items
            )
        case (Rel() | Seq() | Many(), _) | (_, Rel() | Seq() | Many()):
            return False
    return same_value(answer, gold, tolerance)


def _same_relation(answer: Rel, gold: Rel, tolerance: float | None) -> bool:
    if set(answer.relations) <= {"=", "~"} and set(gold.relations) <= {"=", "~"}:
        left, right = answer.sides[0], gold.sides[0]
        other_axis = (
            isinstance(left, Sym)
            and isinstance(right, Sym)
            and left != right
            and {left.name, right.name} <= set("xyz")
        )
        if is_quantity(left) and is_quantity(right) and not other_axis:
            for part in results(answer, strict=False):
                if any(same(part, result, _one(tolerance)) for result in results(gold, strict=True)):
                    return True
        return answer.relations == gold.relations == ("=",) and same_equation(answer, gold)
    if len(answer.relations) == len(gold.relations) == 1:
        return same_inequality(answer, gold)
    turned = Rel(tuple(TURNED.get(name, name) for name in reversed(answer.relations)), answer.sides[::-1])
    return any(
        one.relations == gold.relations
        and all(same_value(a, b, None) for a, b in zip(one.sides, gold.sides, strict=True))
        for one in (answer, turned)
    )

r"""The commands, brackets and functions of the grammar in `spica.answers.parse`."""

from fractions import Fraction
from typing import TYPE_CHECKING

from spica.answers.lexer import END
from spica.answers.tree import Beyond, Many, Node, NotMath, Num, Op, Rel, Seq, Sym

if TYPE_CHECKING:
    from spica.answers.parse import Parser

_FUNCTIONS = {
    *(
        "sin",
        "cos",
        "tan",
        "cot",
        "sec",
        "csc",
        "arcsin",
        "arccos",
        "arctan",
        "sinh",
        "cosh",
        "tanh",
        "ln",
        "lg",
        "exp",
    ),
    *("log", "max", "min", "gcd", "lcm"),
}
_SKIPPED = {
    "angle",
    "triangle",
    "operatorname",
    "mathrm",
    "text",
    "mathbf",
    "overline",
    "vec",
    "hat",
    "bar",
    "widehat",
    "overrightarrow",
    "underline",
}
_CLOSING = {"(": ")]", "[": ")]", "]": "[("}
_UNREADABLE = {
    *("int", "lim", "iint", "oint", "partial", "nabla", "begin", "end", "stackrel", "underbrace", "overset"),
    *(
        "pmod",
        "bmod",
        "mod",
        "quad",
        "mapsto",
        "to",
        "forall",
        "exists",
        "because",
        "therefore",
        "nmid",
        "perp",
    ),
    *(
        "parallel",
        "iff",
        "Leftrightarrow",
        "rightarrow",
        "subset",
        "subseteq",
        "notin",
        "infin",
        "frown",
        "widetilde",
    ),
}


def matrix(parser: "Parser") -> Node:
    """The rows up to the end of the environment."""
    parser.enter()
    rows: list[Node] = []
    row: list[Node] = []
    while True:
        row.append(parser.side())
        if parser.take("&"):
            continue
        rows.append(Op("row", tuple(row)))
        row = []
        ended = parser.take(";")
        if parser.next.kind == "end":
            parser.at += 1
            break
        if not ended:
            raise NotMath("a matrix without end")
    parser.depth -= 1
    return Op("matrix", tuple(rows))


def command(parser: "Parser", name: str) -> Node:
    """What a command or the name of a function stands for, with its arguments."""
    if name == "frac":
        return Op("div", (parser.argument(), parser.argument()))
    if name in ("boxed", "fbox"):
        return parser.argument()
    if name == "binom":
        return Op("binom", (parser.argument(), parser.argument()))
    if name == "sqrt":
        return _root(parser)
    if name in _FUNCTIONS:
        return _function(parser, name)
    if name in ("sum", "prod"):
        return _repeated(parser, name)
    if name in ("lfloor", "lceil"):
        found = parser.sum()
        parser.expect("rfloor" if name == "lfloor" else "rceil")
        return Op("floor" if name == "lfloor" else "ceil", (found,))
    if name in ("reals", "emptyset") or name.startswith("mathbb"):
        return Op(name, ())
    if name in ("dot", "ddot", "tilde"):
        return Op(f"call {name}", (parser.argument(),))
    if name in _SKIPPED:
        return _marked(parser, name)
    if name in _UNREADABLE:
        raise Beyond(f"{name} is beyond this grammar")
    return parser.named(name)


def _marked(parser: "Parser", name: str) -> Node:
    r"""`\overline{AB}`, `\angle ABC`: the letters, which are one name."""
    if parser.at_op("{"):
        parser.at += 1
        found = parser.answers()
        parser.expect("}")
        return found
    return parser.primary()


def _repeated(parser: "Parser", name: str) -> Node:
    r"""`\\sum_{k=1}^{n} k^2`: index, both ends and the product that follows."""
    ends: dict[str, Node] = {}
    while parser.at_op("_", "^"):
        mark = parser.next.text
        parser.at += 1
        ends[mark] = parser.argument(whole_number=True)
    match ends:
        case {"_": Rel(("=",), (Sym() as index, first)), "^": last}:
            return Op(name, (index, first, last, parser.product()))
    raise Beyond(f"a {name} without an index and two ends")


def _root(parser: "Parser") -> Node:
    index: Node | None = None
    if parser.take("["):
        index = parser.sum()
        parser.expect("]")
    if parser.next.kind == "number":
        radicand: Node = number(parser.next.text)
        parser.at += 1
    else:
        radicand = parser.argument()
    return Op("sqrt", (radicand,)) if index is None else Op("root", (radicand, index))


def _function(parser: "Parser", name: str) -> Node:
    parser.enter()
    power, base = None, None
    while parser.at_op("^", "_"):
        if parser.take("^"):
            power = parser.power()
        else:
            parser.at += 1
            base = parser.argument(whole_number=True)
    arguments = _function_arguments(parser)
    parser.depth -= 1
    if name in ("max", "min", "gcd", "lcm"):
        return Op(name, arguments)
    if len(arguments) != 1:
        raise NotMath(f"{name} of several values")
    if name == "log" and base is not None:
        found: Node = Op("logb", (arguments[0], base))
    else:
        found = Op(name, arguments)
    if power is None:
        return found
    match power:
        case Op("neg", (Num(1, _),)) if name in ("sin", "cos", "tan"):
            return Op(f"arc{name}", arguments)
    return Op("pow", (found, power))


def _function_arguments(parser: "Parser") -> tuple[Node, ...]:
    if parser.at_op("(", "{"):
        closing = ")" if parser.at_op("(") else "}"
        parser.at += 1
        bars, parser.bars = parser.bars, 0
        found = parser.answers()
        parser.bars = bars
        parser.expect(closing)
        return found.items if isinstance(found, Many) else (found,)
    if parser.at_op("-"):
        return (parser.signed_factor(),)
    found = parser.factor()
    while (
        parser.starts_factor()
        and parser.next.text not in _FUNCTIONS
        and not parser.at_op("(", "[", "{", "\\{")
    ):
        found = parser.juxtaposed(found)
    return (found,)


def bracketed(parser: "Parser", left: str) -> Node:
    """A bracket: a group of one, an interval or a tuple."""
    parser.enter()
    start, found, end = parser.ahead
    if start == parser.at:
        parser.at = end
    else:
        bars, parser.bars = parser.bars, 0
        found = parser.answers()
        parser.bars = bars
    right = parser.next.text
    if parser.next.kind != "op" or right not in _CLOSING[left]:
        raise NotMath(f"{left!r} is not closed")
    parser.at += 1
    parser.depth -= 1
    if isinstance(found, Many):
        return Seq(left, found.items, right)
    if left == "]" or (left == "[") != (right == "]"):
        raise NotMath("half an interval")
    return found


def braced(parser: "Parser", left: str) -> Node:
    r"""`{...}` groups, `\{...\}` is a set, given by its members or by a condition."""
    parser.enter()
    bars, parser.bars = parser.bars, 1
    right = "\\}" if left == "\\{" else "}"
    if left == "\\{" and parser.take(right):
        parser.bars, parser.depth = bars, parser.depth - 1
        return Op("emptyset", ())
    found = parser.answers()
    if left == "\\{" and parser.take("|", "mid", ":"):
        found = parser.answers()
    elif left == "\\{":
        found = Op("set", found.items if isinstance(found, Many) else (found,))
    parser.expect(right)
    parser.bars, parser.depth = bars, parser.depth - 1
    return found


def applied(parser: "Parser", name: str) -> Node:
    """A call where the bracket holds one symbol, number or several arguments; a product otherwise."""
    before = parser.at
    parser.at += 1
    bars, parser.bars = parser.bars, 0
    argument = parser.answers()
    parser.bars = bars
    simple = isinstance(argument, Sym | Num | Many) or name.startswith("f")
    if simple and parser.take(")"):
        return Op(f"call {name}", argument.items if isinstance(argument, Many) else (argument,))
    parser.ahead = (before + 1, argument, parser.at)
    parser.at = before
    return Sym(name)


def subscript(parser: "Parser") -> str:
    """The text of a subscript, which is part of a name."""
    if not parser.take("{"):
        token = parser.next
        parser.at += 1
        return token.text
    parts: list[str] = []
    depth = 1
    while parser.next is not END:
        token = parser.next
        parser.at += 1
        depth += (token.text == "{") - (token.text == "}")
        if not depth:
            return "".join(parts)
        parts.append(token.text if token.text not in "{}" else "")
    raise NotMath("a subscript without end")


def number(text: str) -> Num:
    """A decimal number as written, `1e3` included."""
    lowered = text.lower()
    if lowered[0] == "-":  # a unit's power
        return Num(int(lowered), False)
    if lowered.isdigit():
        return Num(int(lowered), False)
    digits, _, exponent = lowered.partition("e")
    if exponent and abs(int(exponent)) > 400:
        raise NotMath("beyond any number")
    value = Fraction(
        f"{digits.rstrip('.')}e{exponent or 0}" if digits[0] != "." else f"0{digits}e{exponent or 0}"
    )
    return Num(value.numerator if value.denominator == 1 else value, True)

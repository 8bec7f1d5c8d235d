r"""The numbers that MATH-V's program reads out of LaTeX, without evaluating text.

The program turns LaTeX into text of Python (latex2sympy2 1.9.1) and evaluates that with the names of
`math`. What comes out is a number for arithmetic alone: a letter, a comma, `|x|` or `\ln` (printed with a
base `E` that has no name) is an error, and an error is a wrong answer. Its parser stops without complaint
at the first token that can continue nothing, so `60)` and `12 trees` (`tr` is a token, of traces) are 60
and 12.
"""

import math
import re
from collections.abc import Callable
from typing import Final

from spica.answers.published import mathvision_values as values
from spica.answers.published.mathvision_tokens import Token, tokens
from spica.answers.published.mathvision_values import Computed, Node, Unreadable, evaluate

MAX_CHARS: Final = 2_000
MAX_DEPTH: Final = 80
"""Of brackets, fractions and roots within each other."""


_FUNCTIONS: Final[dict[str, Callable[[float], float]]] = {
    lead + name: getattr(math, "a" + name if lead else name)
    for lead in ("", "arc", "ar")
    for name in "sin cos tan sinh cosh tanh".split()
    if lead != "ar" or name.endswith("h")
}
_CLOSERS: Final = {
    **{"(": ")", "{": "}", "[": "]", "\\{": "\\}"},
    **{"\\lbrace": "\\rbrace", "\\lbrack": "\\rbrack", "\\lgroup": "\\rgroup"},
}
_FLOORS: Final = {"\\lfloor": "\\rfloor", "\\llcorner": "\\lrcorner"}
_FALLING = re.compile(r"\(([a-zA-Z0-9+\-*/\\ ]+?)\)_{([a-zA-Z0-9+\-*/\\ ]+?)}", re.ASCII)
_BLANKS = re.compile(r"\\displaystyle|\\quad|\\qquad|~|\\,|\$")
_POSTFIXES: Final = frozenset({"!", "'"})
_OPERANDS: Final = frozenset(
    r"number percent letter unknown e function \pi \frac \sqrt \binom \left".split()
).union(_CLOSERS, _FLOORS)


def rounded(latex: str) -> int | float:
    """Value of `latex`, to two decimals.

    Raises:
        Unreadable: the program fails on it.
    """
    if len(latex) > MAX_CHARS:
        raise Unreadable("too long")
    text = latex.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac")
    text = _FALLING.sub(r"\\frac{(\1)!}{((\1)-(\2))!}", text)
    try:
        value = round(evaluate(_Reader(_BLANKS.sub(" ", text)).relation()), 2)
    except (ArithmeticError, ValueError, TypeError, RecursionError) as error:
        raise Unreadable(str(error)) from error
    return value


class _Reader:
    """Recursive descent over the tokens; each method reads one rule of the grammar."""

    def __init__(self, text: str) -> None:
        self.depth = 0
        self.tokens = tokens(text)
        self.token = next(self.tokens)

    def take(self, kind: str | None = None) -> Token:
        token = self.token
        if kind is not None and token.kind != kind:
            raise Unreadable(f"{token.text or 'the end'} where {kind} belongs")
        self.token = next(self.tokens)
        return token

    def relation(self) -> Node:
        r"""A comparison is 1 or 0; `x = 3` is 3."""
        value = self._named() or self.sum()
        while self.token.kind in ("<", ">", "<=", ">="):
            sign, right = self.take().kind, evaluate(self.sum())
            left = evaluate(value)
            value = Computed(
                {"<": left < right, ">": left > right, "<=": left <= right, ">=": left >= right}[sign]
            )
        if self.token.kind == "=":
            raise Unreadable("an equation")
        return value

    def _named(self) -> Node | None:
        if self.token.kind != "letter":
            return None
        self.take()
        if self.token.kind == "_":
            self._subscript()
        self.take("=")
        return self._named() or self.sum()

    def sum(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unreadable("too deep")
        value = self.product()
        while self.token.kind in ("+", "-"):
            sign = self.take().kind
            right = self.product()
            value = values.add(value, right if sign == "+" else values.negate(right))
        self.depth -= 1
        return value

    def product(self, functions: bool = True) -> Node:
        value = self.signed(functions)
        while self.token.kind in ("*", "/"):
            sign = self.take().kind
            right = self.signed(functions)
            value = values.times(value, right) if sign == "*" else values.over(value, right)
        return value

    def signed(self, functions: bool) -> Node:
        if self.token.kind in ("+", "-"):
            sign = self.take().kind
            value = self.signed(functions)
            return value if sign == "+" else values.negate(value)
        factors = [self.postfixed()]
        while self.token.kind in _OPERANDS and (
            functions or self.token.kind not in ("function", "\\sqrt", "e")
        ):
            factors.append(self.postfixed())
        value = factors.pop()
        while factors:
            value = values.times(factors.pop(), value)
        return value

    def postfixed(self) -> Node:
        value = self.powered()
        while self.token.kind in _POSTFIXES:
            if self.take().kind == "!":
                value = values.factorial(value)
        return value

    def powered(self) -> Node:
        value = self.operand()
        while self.token.kind == "^":
            value = values.power(value, self._script("^"))
            if self.token.kind == "_":
                self._subscript()
        return value

    def _script(self, sign: str) -> Node:
        """What hangs on `^` or `_`: one atom, or an expression in braces."""
        self.take(sign)
        if self.token.kind == "{":
            return self._inside("{", "}")
        if self.token.kind in ("number", "percent", "\\pi"):
            return self.operand()
        raise Unreadable(f"{self.token.text} as an exponent")

    def _subscript(self) -> None:
        self.take("_")
        if self.token.kind != "{":
            self.take()
            return
        while self.token.kind not in ("}", "end", "unknown"):
            self.take()
        self.take("}")

    def _inside(self, opener: str, closer: str) -> Node:
        self.take(opener)
        value = self.sum()
        if opener == "{" and self.token.kind == "\\choose":
            self.take()
            value = values.choose(value, self.sum())
        self.take(closer)
        return value

    def operand(self) -> Node:
        kind, text = self.token
        if kind in ("number", "percent"):
            self.take()
            return values.number(text)
        if kind in _CLOSERS:
            return self._inside(kind, _CLOSERS[kind])
        if kind in _FLOORS:
            return Computed(math.floor(evaluate(self._inside(kind, _FLOORS[kind]))))
        match kind:
            case "\\left":
                return self._between_sized_brackets()
            case "\\pi":
                self.take()
                return Computed(math.pi)
            case "e":
                return self._exponential()
            case "\\frac":
                self.take()
                return values.over(self._inside("{", "}"), self._inside("{", "}"))
            case "\\binom":
                self.take()
                return values.choose(self._inside("{", "}"), self._inside("{", "}"))
            case "\\sqrt":
                return self._root()
            case "function":
                return self._function()
        raise Unreadable(f"{text or 'the end'} is no number")

    def _between_sized_brackets(self) -> Node:
        self.take("\\left")
        opener = self.token.kind
        closer = {**_CLOSERS, **_FLOORS}.get(opener)
        if closer is None:
            raise Unreadable(f"\\left{self.token.text}")
        self.take(opener)
        value = self.sum()
        self.take("\\right")
        self.take(closer)
        return Computed(math.floor(evaluate(value))) if opener in _FLOORS else value

    def _exponential(self) -> Node:
        self.take("e")
        return values.exponential(self._script("^") if self.token.kind == "^" else 1)

    def _root(self) -> Node:
        self.take("\\sqrt")
        degree = self._inside("[", "]") if self.token.kind == "[" else 2
        base = self._inside("{", "}")
        return (
            Computed(math.sqrt(evaluate(base))) if degree == 2 else values.power(base, values.over(1, degree))
        )

    def _function(self) -> Node:
        name = self.take().text[1:]
        base: Node = 10
        power: Node | None = None
        for _ in range(2):
            if self.token.kind == "_":
                base = self._script("_")
            elif self.token.kind == "^":
                power = self._script("^")
        if self.token.kind == "\\left":
            self.take()
        if self.token.kind == "(":
            self.take()
            argument = self.sum()
            if self.token.kind == "\\right":
                self.take()
            self.take(")")
        else:
            argument = self.product(functions=False)
        if power == -1 and f"arc{name}" in _FUNCTIONS:
            name, power = f"arc{name}", None
        value = _applied(name, argument, evaluate(base))
        return value if not power else values.power(value, power)


def _applied(name: str, argument: Node, base: int | float) -> Node:
    match name:
        case "log":
            return Computed(math.log(evaluate(argument), base))
        case "exp":
            return values.exponential(argument)
        case "floor":
            return Computed(math.floor(evaluate(argument)))
        case "ln":
            raise Unreadable("ln is printed with the base E, which has no value there")
    return Computed(_FUNCTIONS[name](evaluate(argument)))

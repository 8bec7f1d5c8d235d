r"""Reads mathematics as answers write it into a typed tree: recursive descent, linear, its depth capped.

answers   := group (";" group)*          `;` also stands for "and", "or", a new line
group     := item ("," item)*
item      := side (RELATION side)*
side      := sum ((\cup | \cap | \setminus) sum)*
sum       := product (("+" | "-" | \pm | \mp) product)*
product   := factor (("*" | "/" | nothing) factor)*
factor    := primary postfix*            powers, factorials, degrees, percent signs, units
"""

from spica.answers import commands
from spica.answers.clean import clean, join_thousands
from spica.answers.lexer import END, Token, tokens
from spica.answers.tree import Many, Measure, Node, NotMath, Num, Op, Rel, Seq, Sym

MAX_DEPTH = 40
"""Deeper nesting is no answer."""

_RELATIONS = {"<", ">", "<=", ">=", "!=", "=", "~", "in", "=>", "->"}
_SETS = {"cup", "cap", "setminus"}


def parse(text: str, thousands: bool = True) -> Node:
    """The tree of an answer; `thousands`: a comma before three digits separates no answers.

    Raises:
        NotMath: this grammar does not know the text.
    """
    cleaned = clean(text)
    return Parser(tokens(join_thousands(cleaned) if thousands else cleaned)).whole()


class Parser:
    """Reads tokens; its public methods are the rules of the grammar, for `spica.answers.commands`."""

    def __init__(self, found: list[Token]) -> None:
        self.tokens = found
        self.at = 0
        self.depth = 0
        self.bars = 0
        self.ahead: tuple[int, Node, int] = (0, Num(0, False), 0)
        """What a bracket holds that was read before it was known for a factor: its start and end."""

    @property
    def next(self) -> Token:
        return self.tokens[self.at] if self.at < len(self.tokens) else END

    def at_op(self, *texts: str) -> bool:
        token = self.next
        return token.kind in ("op", "command") and token.text in texts

    def take(self, *texts: str) -> bool:
        if self.at_op(*texts):
            self.at += 1
            return True
        return False

    def expect(self, text: str) -> None:
        if not self.take(text):
            raise NotMath(f"{self.next.text!r} where {text!r} belongs")

    def enter(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise NotMath("nested too deep")

    def whole(self) -> Node:
        found = self.answers()
        if self.next is not END:
            raise NotMath(f"{self.next.text!r} is left over")
        return found

    def answers(self) -> Node:
        groups: list[list[Node]] = []
        while True:
            if not self.at_op(";", ",") and self.next is not END and not self.at_op("}", "\\}"):
                groups.append(self.group())
            if not self.take(";", ","):
                break
        if not groups:
            raise NotMath("nothing there")
        size = len(groups[0])
        if len(groups) > 1 and size > 1 and all(len(group) == size for group in groups):
            return Many(tuple(Seq("(", tuple(group), ")") for group in groups))
        items = tuple(item for group in groups for item in group)
        return items[0] if len(items) == 1 else Many(items)

    def group(self) -> list[Node]:
        items = [self.item()]
        while self.at_op(","):
            after = self.tokens[self.at + 1] if self.at + 1 < len(self.tokens) else END
            if after is END or after.text in (";", ",", "}", "\\}"):
                break
            self.at += 1
            items.append(self.item())
        return items

    def item(self) -> Node:
        sides, relations = [self.side()], list[str]()
        while self.at_op(*_RELATIONS):
            relations.append(self.next.text)
            self.at += 1
            if relations[-1] in ("=>", "->"):  # what follows is the answer
                sides, relations = [self.side()], []
                continue
            sides.append(self.side())
        return Rel(tuple(relations), tuple(sides)) if relations else sides[0]

    def side(self) -> Node:
        found = self.sum()
        while self.at_op(*_SETS):
            name = self.next.text
            self.at += 1
            found = Op(name, (found, self.sum()))
        return found

    def sum(self) -> Node:
        self.enter()
        terms: list[Node] = []
        sign = "+"
        while True:
            negative, wrap = False, ""
            while self.at_op("+", "-", "pm", "mp"):
                sign = self.next.text
                self.at += 1
                negative ^= sign == "-"
                wrap = sign if sign in ("pm", "mp") else wrap
            term = self.product()
            term = Op("neg", (term,)) if negative else term
            terms.append(Op(wrap, (term,)) if wrap else term)
            if not self.at_op("+", "-", "pm", "mp"):
                break
        self.depth -= 1
        return terms[0] if len(terms) == 1 else Op("add", tuple(terms))

    def product(self) -> Node:
        found = self.factor()
        ratio = [found]
        while True:
            if self.take("*"):
                found = Op("mul", (found, self.signed_factor()))
            elif self.take("/"):
                found = Op("div", (found, self.signed_factor()))
            elif self.take(":"):
                ratio[-1] = found
                found = self.signed_factor()
                ratio.append(found)
            elif self.starts_factor():
                found = self.juxtaposed(found)
            else:
                break
        ratio[-1] = found
        if len(ratio) == 1:
            return found
        return Op("div", (ratio[0], ratio[1])) if len(ratio) == 2 else Op("ratio", tuple(ratio))

    def juxtaposed(self, left: Node) -> Node:
        whole = (self.next.kind == "command" and self.next.text == "frac") or self.next.kind == "number"
        right = self.factor()
        if whole and isinstance(left, Num) and not left.decimal and self.is_proper(left, right):
            return Op("add", (left, right))
        if isinstance(left, Num) and isinstance(right, Num):
            if self.take("/"):  # 2 1/3
                right = Op("div", (right, self.factor()))
                if self.is_proper(left, right):
                    return Op("add", (left, right))
            raise NotMath("two numbers side by side")
        return Op("mul", (left, right))

    def is_proper(self, left: Num, right: Node) -> bool:
        match right:
            case Op("div", (Num(upper, False), Num(lower, False))):
                return 0 < upper < lower and left.value > 0
        return False

    def signed_factor(self) -> Node:
        negative = False
        while self.at_op("-", "+"):
            negative ^= self.at_op("-")
            self.at += 1
        found = self.factor()
        return Op("neg", (found,)) if negative else found

    def starts_factor(self) -> bool:
        token = self.next
        if token.kind in ("number", "letter", "unit", "bare", "begin"):
            return True
        if token.kind == "command":
            return (
                token.text not in _RELATIONS
                and token.text not in _SETS
                and token.text not in ("mid", "pm", "mp", "rfloor", "rceil")
            )
        return token.kind == "op" and (
            token.text in ("(", "[", "{", "\\{") or (token.text == "|" and self.bars == 0)
        )

    def factor(self) -> Node:
        self.enter()
        found = self.primary()
        while True:
            if isinstance(found, Sym) and (mark := self._mark()):
                found = Sym(found.name + mark)
            elif isinstance(found, Sym) and self.take("_"):
                found = Sym(f"{found.name}_{commands.subscript(self)}")
            elif (
                self.at_op("_")
                and isinstance(found, Op)
                and found.name == "pow"
                and isinstance(found.args[0], Sym)
            ):
                self.at += 1  # v^2_0
                found = Op("pow", (Sym(f"{found.args[0].name}_{commands.subscript(self)}"), found.args[1]))
            elif self.take("^", "**"):
                found = Op("pow", (found, self.power()))
            elif self.take("!"):
                found = Op("factorial2" if self.take("!") else "factorial", (found,))
            elif self.take("degree"):
                found = Op("deg", (found,))
            elif self.take("%"):
                found = Op("pct", (found,))
            elif self.take("'"):
                found = Sym(f"{found.name}'") if isinstance(found, Sym) else found
            elif self.at_op("_") and isinstance(found, Num):
                self.at += 1
                found = Op("base", (found, self.argument()))
            else:
                break
        self.depth -= 1
        return found

    def _mark(self) -> str:
        r"""`^{\prime}` and `^*`, which belong to a name; empty for anything else."""
        texts = [token.text for token in self.tokens[self.at : self.at + 4]]
        for size, form in (
            (2, ["^", "'"]),
            (4, ["^", "{", "'", "}"]),
            (2, ["^", "*"]),
            (4, ["^", "{", "*", "}"]),
        ):
            if texts[:size] == form:
                self.at += size
                return form[-1] if size == 2 else form[2]
        return ""

    def power(self) -> Node:
        if self.at_op("-", "+"):
            return self.signed_factor()
        return self.argument(whole_number=True)

    def argument(self, whole_number: bool = False) -> Node:
        r"""What a command takes: a group, or one digit, letter or command (`\frac12`)."""
        token = self.next
        if self.take("{"):
            found = self.answers()
            self.expect("}")
            return found
        if token.kind == "number" and not whole_number and len(token.text) > 1 and token.text.isdigit():
            self.tokens[self.at] = Token("number", token.text[1:])
            return Num(int(token.text[0]), False)
        self.enter()
        found = self.primary()
        self.depth -= 1
        return found

    def primary(self) -> Node:
        token = self.next
        self.at += 1
        match token:
            case Token("number", text):
                return commands.number(text)
            case Token("letter", text):
                return self.named(text)
            case Token("unit" | "bare" as kind, text):
                return Measure(text, kind == "bare")
            case Token("begin", _):
                return commands.matrix(self)
            case Token("command", text):
                return commands.command(self, text)
            case Token("op", "(" | "[" | "]"):
                return commands.bracketed(self, token.text)
            case Token("op", "{" | "\\{"):
                return commands.braced(self, token.text)
            case Token("op", "|"):
                self.bars += 1
                found = self.sum()
                self.bars -= 1
                self.expect("|")
                return Op("abs", (found,))
        raise NotMath(f"{token.text!r} where a value belongs")

    def named(self, name: str) -> Node:
        if self.take("_"):
            name = f"{name}_{commands.subscript(self)}"
        while self.take("'"):
            name += "'"
        if (name[0] in "fghFGPQWT" and self.at_op("(")) or (name in ("phi", "psi") and self.at_op("(")):
            return commands.applied(self, name)
        return Sym(name)

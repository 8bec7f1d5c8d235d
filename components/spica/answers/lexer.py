r"""LaTeX and plain mathematics as tokens; typesetting goes, `\dfrac`, `*` and `\times` become one.

Linear in the length of the text.
"""

import re
from typing import NamedTuple

from spica.answers.tree import NotMath
from spica.answers.units import UNITS, spell

_TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<number>(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d{1,4}(?![\dA-Za-z.]))?|\d+\.(?!\d))
    |(?P<begin>\\begin\s*\{(?:[A-Za-z]*matrix\*?\}|array\}\s*\{[^{}]*\}))|(?P<end>\\end\s*\{(?:[A-Za-z]*matrix\*?|array)\})
    |(?P<text>\\(?:text|textrm|textbf|textit|textnormal|bareunit|mathrm|mathbf|mathit|mathbb|mbox|hbox|operatorname\*?)\s*\{(?:[^{}]|\{[^{}]*\})*\})
    |(?P<command>\\[A-Za-z]+|\\.)
    |(?P<word>(?:arcsin|arccos|arctan|sinh|cosh|tanh|sin|cos|tan|cot|sec|csc|sqrt|exp|log|ln|lg|pi)(?=[^A-Za-z]|$|[A-Za-z](?![A-Za-z]))
       |(?:infinity|infty|inf|and|or|max|min|gcd|lcm)(?![A-Za-z]))
    |(?P<chinese>[\u4e00-\u9fff]+)
    |(?P<operator><=|>=|!=|=>|->|\*\*|.)""",
    re.VERBOSE | re.DOTALL,
)


_WORD = r"[A-Za-z]{1,14}+(?:\s*+\^\s*+\{?-?\d++\}?)?"
_BEHIND_NUMBER = re.compile(
    rf"(?<=[\d}}])(\s*+)({_WORD}(?:(?:\s*+(?:/|\*|\\cdot)\s*+|\s++){_WORD}){{0,5}})"
    r"\.?\s*+(?=$|[,;)\]}=<>]|\\text|\\approx)"
)
"""Gives nothing back within a word or a run of blanks, which would cost a power of its length."""


_COMMANDS = {
    **dict.fromkeys(("dfrac", "tfrac", "cfrac", "nicefrac", "sfrac"), "frac"),
    **dict.fromkeys(("leq", "leqslant", "leqq", "le"), "<="),
    **dict.fromkeys(("geq", "geqslant", "geqq", "ge"), ">="),
    **dict.fromkeys(("neq", "ne"), "!="),
    **{
        "lt": "<",
        "gt": ">",
        "approx": "~",
        "simeq": "~",
        "cong": "~",
        "equiv": "=",
        "colon": ":",
        "ratio": ":",
    },
    **dict.fromkeys(("times", "cdot", "ast", "bullet"), "*"),
    **{"div": "/", "over": "/", "lor": ";", "vee": ";", "land": ";", "wedge": ";", "backslash": "\\setminus"},
    **{"lbrack": "[", "rbrack": "]", "lparen": "(", "rparen": ")", "vert": "|", "lvert": "|", "rvert": "|"},
    **{
        "lbrace": "\\{",
        "rbrace": "\\}",
        "mid": "mid",
        "bigcup": "cup",
        "varnothing": "emptyset",
        "tg": "tan",
    },
    **{
        "dbinom": "binom",
        "tbinom": "binom",
        "arctg": "arctan",
        "ctg": "cot",
        "cosec": "csc",
        "varphi": "phi",
    },
    **{
        "varepsilon": "epsilon",
        "vartheta": "theta",
        "infinity": "infty",
        "prime": "'",
        "dots": "...",
        "ldots": "...",
    },
    **{
        "cdots": "...",
        "dotsc": "...",
        "dotsb": "...",
        "ell": "l",
        "langle": "(",
        "rangle": ")",
        "inf": "infty",
    },
    **{
        "lfloor": "lfloor",
        "R": "reals",
        "Longrightarrow": "=>",
        "Rightarrow": "=>",
        "implies": "=>",
        "hbar": "hbar",
    },
}


_CONJUNCTIONS = {"and", "or", "\u548c", "\u6216", "\u53ca", "\u4e0e", "\u6216\u8005", "\u4ee5\u53ca"}


_FUNCTIONS = {
    "sin",
    "cos",
    "tan",
    "cot",
    "ln",
    "log",
    "lg",
    "exp",
    "max",
    "min",
    "gcd",
    "lcm",
    "arctan",
    "arcsin",
    "arccos",
}


class Words(NotMath):
    """The text is words, which no algebra compares."""


class Token(NamedTuple):
    """`kind`: number, letter, command (or a function), unit, bare (unit), op, begin and end (of a matrix)."""

    kind: str
    text: str


def tokens(text: str) -> list[Token]:
    """Tokens of cleaned text.

    Raises:
        Words: a character that no formula holds, or words where a formula has none.
    """
    found: list[Token] = []
    run = ""
    for match in _TOKEN.finditer(_BEHIND_NUMBER.sub(_as_unit, text)):
        kind, token = match.lastgroup or "", match[0]
        match kind:
            case "space":
                run = ""
                continue
            case "operator":
                if not token.isascii():
                    raise Words(f"{token!r} in no formula")
                if token.isalpha():
                    run += token
                    if len(run) >= 4 and run != run.upper() and not _is_subscript(found, len(run)):
                        raise Words(f"words such as {run!r}")
                    found.append(Token("letter", token))
                    continue
                found.append(Token("op", token))
            case "command":
                found.append(_command(token[1:]))
            case "word":
                found.append(
                    _SEPARATOR if token in _CONJUNCTIONS else Token("command", _COMMANDS.get(token, token))
                )
            case "text" | "chinese":
                found += _text(token, _is_behind_value(found))
            case _:
                found.append(Token(kind, token))
        run = ""
    return found


def _is_behind_value(found: list[Token]) -> bool:
    """Whether what follows may be a unit: behind a value, or behind `/` or a dot after another unit."""
    if not found or found[-1].kind != "op" or found[-1].text in "})]":
        return bool(found)
    return found[-1].text in "/*(" and any(token.kind in ("unit", "bare") for token in found[-6:])


def _is_subscript(found: list[Token], length: int) -> bool:
    """Whether a run of letters, its last one not yet found, stands in `_{...}`."""
    before = found[-length - 1 : -length + 1] if length > 1 else []
    return [token.text for token in before] == ["_", "{"]


_SEPARATOR = Token("op", ";")

END = Token("end of text", "")
"""What follows the last token."""


def _command(name: str) -> Token:
    if name == "\\":
        return _SEPARATOR
    if not name.isalpha():
        return Token("op", {"{": "\\{", "}": "\\}", "|": "||"}.get(name, name))
    name = _COMMANDS.get(name, name)
    if not name.isalpha():
        return Token("op", name)
    return Token("command" if len(name) > 1 else "letter", name)


def _text(token: str, behind: bool) -> list[Token]:
    r"""What `\text{..}` or a run of Chinese stands for; `behind` a value it is a unit or a label."""
    command, _, content = token.partition("{") if token.endswith("}") else ("", "", token)
    content = " ".join(content.removesuffix("}").replace("~", " ").split())
    word = content.strip(" ,.")
    if "mathbb" in command:
        return [Token("command", {"R": "reals"}.get(word, f"mathbb {word}"))]
    if word.lower() in _CONJUNCTIONS:
        return [_SEPARATOR]
    if word in _FUNCTIONS and not (behind and word in UNITS):
        return [Token("command", word)]
    if word.isdecimal() and word.isascii():
        return [Token("number", word)]
    if (
        len(word) == 1
        and word.isascii()
        and word.isalpha()
        and not (behind and word in UNITS and word not in "edi")
    ):
        return [Token("letter", word)]
    if not behind:
        if word:
            raise Words(f"words {word!r}")
        return []
    names = spell(word)
    if names is None:
        return [Token("unit", word)] if word else []
    kind = "bare" if "bareunit" in command else "unit"
    return [
        Token(kind if name in UNITS else "number" if name[-1].isdecimal() else "op", name) for name in names
    ]


def _as_unit(match: re.Match[str]) -> str:
    space, words = match.groups()
    if words in _CONJUNCTIONS:
        return match[0]
    if spell(words) and (space or words[1:2].isalpha()):
        bare = words.replace("{", "").replace("}", "").replace("\\cdot", "*")
        return f"\\bareunit{{{bare}}} "
    # Words behind a number count something, letters may be a product.
    labels = words.split()
    return (
        f"\\text{{{words}}} "
        if all(label.isalpha() for label in labels) and any(len(label) > 3 for label in labels)
        else match[0]
    )

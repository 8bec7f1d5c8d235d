"""The tokens of latex2sympy2 1.9.1 as far as they matter to numbers; the text is lower case by then."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_FUNCTIONS: Final = (
    "sin cos tan sinh cosh tanh arcsin arccos arctan arcsinh arccosh arctanh arsinh arcosh artanh log ln exp "
    "floor"
).split()
_STOPS: Final = (
    "arsinh arcsinh arcosh arccosh artanh arctanh gcd lcm floor ceil eye zeros ones cols rows diag norm "
    "rank trace tr rref hstack vstack orth ortho orthogonal orthogonalize nullspace eig eigen diagonalize "
    "eigenvals eigenvalues eigenvects eigenvectors svd matrix pmatrix bmatrix vmatrix & . <-> <=> \\\\ "
    "\\rvert \\lrcorner \\rceil \\urcorner \\mright \\to \\rightarrow \\longrightarrow \\xrightarrow "
    "\\leftrightarrow"
).split()
"""Tokens that continue no number. What is in none of these tables is a name, or no token at all."""
_ITSELF: Final = (
    "+ - * / ( ) { } [ ] ^ _ ! ' = < > e \\{ \\} \\lbrace \\rbrace \\lbrack \\rbrack \\lgroup \\rgroup "
    "\\left \\right \\lfloor \\rfloor \\llcorner \\lrcorner \\frac \\sqrt \\choose \\binom \\pi"
).split()
_KINDS: Final[dict[str, str]] = {
    **dict.fromkeys(_STOPS, "stop"),
    **{text: text for text in _ITSELF},
    **dict.fromkeys(("\\over", "\\div", ":"), "/"),
    **dict.fromkeys(("\\times", "\\cdot"), "*"),
    **dict.fromkeys(("\\tbinom", "\\dbinom"), "\\binom"),
    **dict.fromkeys(("\\le", "\\leq", "\\leqslant"), "<="),
    **dict.fromkeys(("\\ge", "\\geq", "\\geqslant"), ">="),
    **{f"\\{name}": "function" for name in _FUNCTIONS},
}
_NUMBER = r"\d*(?:,\d\d\d)*\.\d+|\d+(?:,\d\d\d)*"
_TOKEN = re.compile(
    r"(?P<space>[ \t\r\n]+)"
    rf"|(?P<percent>(?:{_NUMBER})\\%)|(?P<number>{_NUMBER})"
    rf"|(?P<literal>{'|'.join(re.escape(text) for text in sorted(_KINDS, key=len, reverse=True))})"
    r"|(?P<letter>[a-df-z])",
    re.ASCII,
)


class Token(NamedTuple):
    kind: str
    text: str


def tokens(text: str) -> Iterator[Token]:
    """The longest token at each place; `unknown` or `end` is the last, repeated for ever."""
    at, last = 0, Token("end", "")
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            last = Token("unknown", text[at])
            break
        at = found.end()
        kind = str(found.lastgroup)
        if kind != "space":
            yield Token(_KINDS[found[0]] if kind == "literal" else kind, found[0])
    while True:
        yield last

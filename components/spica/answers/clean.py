r"""Takes typesetting out of LaTeX: what stays is in ASCII where there is an ASCII form.

Linear in the length of the text.
"""

import re

_CHARS = {
    **dict.fromkeys("\u2212\u2013\u2014\u2010\u2011\ufe63", "-"),
    **{chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)},
    **dict.fromkeys("\u00a0\u2002\u2003\u2009\u200a\u202f\u3000", " "),
    **dict.fromkeys("\u200b\ufeff\u2061", ""),
    **{"\u3002": ".", "\u3001": ",", "\u2018": "'", "\u2019": "'", "\u2032": "'", "\u2033": "''"},
    **{
        "\u00d7": r"\times ",
        "\u00f7": "/",
        "\u2044": "/",
        "\u2215": "/",
        "\u22c5": r"\cdot ",
        "\u00b7": r"\cdot ",
    },
    **{"\u2219": r"\cdot ", "\u2022": r"\cdot ", "\u2217": "*", "\u221a": r"\sqrt ", "\u221e": r"\infty "},
    **{"\u2264": r"\le ", "\u2a7d": r"\le ", "\u2265": r"\ge ", "\u2a7e": r"\ge ", "\u2260": r"\ne "},
    **{
        "\u2248": r"\approx ",
        "\u2243": r"\approx ",
        "\u2245": r"\approx ",
        "\u00b1": r"\pm ",
        "\u2213": r"\mp ",
    },
    **{
        "\u222a": r"\cup ",
        "\u2229": r"\cap ",
        "\u2208": r"\in ",
        "\u2205": r"\emptyset ",
        "\u211d": r"\mathbb{R}",
    },
    **{
        "\u2216": r"\setminus ",
        "\u2228": ";",
        "\u03c0": r"\pi ",
        "\u00b0": r"^\circ ",
        "\u2103": r"^\circ C",
    },
    **{"\u2220": r"\angle ", "\u25b3": r"\triangle ", "\u2102": r"\mathbb{C}", "\u2124": r"\mathbb{Z}"},
    **{
        "\u00bd": r"\frac{1}{2}",
        "\u00bc": r"\frac{1}{4}",
        "\u00be": r"\frac{3}{4}",
        "\u2153": r"\frac{1}{3}",
    },
    **{
        "\u2154": r"\frac{2}{3}",
        "\u2030": r"/1000",
        "\u03a9": r"\Omega ",
        "\u2126": r"\Omega ",
        "\u212b": r"\AA ",
    },
    **{"\u00b5": r"\mu ", "\u03bc": r"\mu ", "\u2061": "", "\x0c": r"\f", "\u27e8": "(", "\u27e9": ")"},
    **dict(
        zip(
            "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207b",
            [f"^{{{d}}}" for d in "0123456789-"],
            strict=True,
        )
    ),
    **dict(
        zip(
            "\u2080\u2081\u2082\u2083\u2084\u2085\u2086\u2087\u2088\u2089",
            [f"_{d}" for d in "0123456789"],
            strict=True,
        )
    ),
    **dict(
        zip(
            "\u03b1\u03b2\u03b3\u03b4\u03b5\u03b8\u03bb\u03bd\u03c1\u03c3\u03c4\u03c6\u03d5\u03c9\u0394\u03b7\u03be\u03c8\u0393\u03a6\u0398\u03a3",
            [
                f"\\{name} "
                for name in "alpha beta gamma delta epsilon theta lambda nu rho sigma tau phi phi omega "
                "Delta "
                "eta xi psi "
                "Gamma Phi Theta Sigma".split()
            ],
            strict=True,
        )
    ),
}


_CHAR_TABLE = str.maketrans(_CHARS)


_LAYOUT = re.compile(
    r"\\(?:left|right|bigl?|bigr?|Bigl?|Bigr?|biggl?|biggr?|Biggl?|Biggr?|middle|displaystyle|textstyle|scriptstyle"
    r"|limits|nolimits|mathstrut|strut|noindent|boldsymbol|bm|mathsf|mathcal|mathfrak|rm|bf|it|cal|hfill|phantom)"
    r"(?![A-Za-z])\.?|(?<!\\)\\[()\[\]]|\\?\$|\\?[\u20ac\u00a3\u00a5]|\*\*|\\label\{[^{}]*\}|&(?!&)(?==)"
)


_SPACE = re.compile(
    r"(?:(?<!\\)\\[,;:!> ]|\\(?:q?quad|enspace|thinspace|space)(?![A-Za-z])|\\[hv]space\*?\{[^{}]*\}|~|\s)+"
)


_JOINED = re.compile(r"(?<![\d.,])\d{1,3}(?:(?:\{,\}|\\[,!;: ]|\\,\\!|~| )\d{3})+(?![\d])")


_THIN_COMMA = re.compile(r"(?<=\d)\s*\{\s*,\s*\}\s*(?=\d)|(?<=\d)\s*,\s*\\!\s*(?=\d)")


_COMMAS = re.compile(r"(?<![\d.,])\d{1,3}(?:,(?:\\!)?\d{3})+(?!\d)(?!,\d)")


_DEGREES = re.compile(
    r"\^\s*(?:\{\s*\\(?:circ|degree)\s*\}|\\circ(?![A-Za-z])|\\degree(?![A-Za-z])|\{\s*o\s*\})|\\(?:degree|deg)(?![A-Za-z])"
    r"|\\(?:text|mathrm|textrm)\{[\s~]*(?:degrees?|deg)\s*\}|(?<=[\d}])\s*\{\s*degrees?\s*\}|(?<=[\d}\s])degrees?\b",
)


_REPEATING = re.compile(r"(\d{0,9})\.(\d{0,9})\\(?:overline|dot|bar)\s*\{(\d{1,9})\}(?!\d)")
_BRACED_UNIT = re.compile(r"(?<=\d)\{\s*([a-z]{2,20})\s*\}")
"""`60{cm}`: once `\\text{cm}`."""
_PERCENT = re.compile(
    r"\\?%|\\(?:text|mathrm|mbox|textrm)\{\s*(?:percent(?:age)?|pct)\s*\}|(?<=[\d}\s])(?:percent(?:age)?|pct)\b"
)


def clean(text: str) -> str:
    """The text without typesetting, in ASCII where there is an ASCII form."""
    text = text.translate(_CHAR_TABLE)
    if "\\begin" not in text:
        text = re.sub(r"\\\\(?=[a-zA-Z]{2})", r"\\", text)  # a doubled escape, no new line
    text = _DEGREES.sub(r"\\degree ", text)
    text = _REPEATING.sub(_repeating, text)
    text = _BRACED_UNIT.sub(r"\\text{ \1}", _PERCENT.sub("%", text))
    text = _LAYOUT.sub(" ", text) if "\\" in text or "$" in text or "*" in text else text
    text = _JOINED.sub(lambda match: re.sub(r"[^\d]", "", match[0]), _THIN_COMMA.sub(r"\\,", text))
    return _SPACE.sub(" ", text).strip().rstrip(".,;:").strip()


def _repeating(match: re.Match[str]) -> str:
    r"""`0.1\overline{6}` as a fraction."""
    whole, fixed, again = match.groups()
    lower = (10 ** len(again) - 1) * 10 ** len(fixed)
    upper = int(whole + fixed + again) - int(whole + fixed or "0")
    return f"\\frac{{{upper}}}{{{lower}}}"


def join_thousands(text: str) -> str:
    """`1,260` as one number."""
    return _COMMAS.sub(lambda match: match[0].replace(",", "").replace("\\!", ""), text)

"""Brings an answer into one form: what typesetting adds goes, what it means stays (protocol D5)."""

import re

_SYMBOLS = str.maketrans({"\u2212": "-", "\u2013": "-", "\uff0c": ",", "\u3002": ".", "\u00d7": "*"})
_WRAPPED = re.compile(
    r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|mbox|operatorname)\s*\{([^{}]*)\}"
)
_UNIT = re.compile(
    r"(?<=[\d}])\s*\\(?:text|textrm|mathrm|mbox)\s*\{[\s~]*[A-Za-z][^{}]*\}(?:\^\{?[23]\}?)?\.?$"
)
_PLAIN_UNIT = re.compile(
    r"(?<=\d)(?:\s+[mgsh]|\s*(?:[mcdk]m|kg|mg|ft|in|min|units?|inch(?:es)?|feet|met(?:er|re)s?))"
    r"(?:\^\{?[23]\}?|[\u00b2\u00b3])?\.?$"
)
_DEGREES = re.compile(
    r"\^\s*(?:\{\s*\\circ\s*\}|\\circ)|\\degree|\u00b0|(?<=\d)\{\s*degrees?\s*\}|\s*(?<![A-Za-z])degrees?\b",
    re.IGNORECASE,
)
_LAYOUT = re.compile(r"\\left(?![a-z])|\\right(?![a-z])|\\displaystyle|\\[,;:! ]|\\[()\[\]]|\\?\$|~|\*\*")
_THOUSANDS = re.compile(r"(?<![\d.])\d{1,3}(?:,\d{3})+(?!\d)")
_BARE_FRACTION = re.compile(r"\\frac\s*(\d)\s*(\d)")
_HALF_BARE_FRACTION = re.compile(r"\\frac\s*\{([^{}]*)\}\s*(\d)")
_MIXED = re.compile(r"(?<=\d)\s*\\frac\s*\{\s*(\d+)\s*\}\s*\{\s*(\d+)\s*\}")
_FRACTION = re.compile(r"\\frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
_BARE_ROOT = re.compile(r"\\sqrt\s*(\w)")


def normalise(answer: str, units: bool = True) -> str:
    r"""Plain text with single spaces: `$\dfrac{1}{2}$.` gives `1/2`, `\text{(B)}` `(B)`, `1{,}260` `1260`."""
    text = (
        answer.translate(_SYMBOLS)
        .replace("\\dfrac", "\\frac")
        .replace("\\tfrac", "\\frac")
        .replace("\\%", "%")
    )
    text = _DEGREES.sub("", text.replace("{,}", ","))
    text = _LAYOUT.sub("", text)
    text = _UNIT.sub("", text) if units else text
    text = _WRAPPED.sub(r"\1", _WRAPPED.sub(r"\1", text))
    text = _HALF_BARE_FRACTION.sub(r"\\frac{\1}{\2}", _BARE_FRACTION.sub(r"\\frac{\1}{\2}", text))
    text = _FRACTION.sub(_flat_fraction, _MIXED.sub(r"+\1/\2", text))
    text = _BARE_ROOT.sub(r"\\sqrt{\1}", text)
    text = _THOUSANDS.sub(lambda match: match[0].replace(",", ""), text)
    text = _PLAIN_UNIT.sub("", text) if units else text
    return " ".join(text.split()).rstrip(".").strip()


def _flat_fraction(match: re.Match[str]) -> str:
    """A fraction on one line, bracketed where a sum would otherwise change its meaning."""
    parts = (part.strip() for part in match.groups())
    return "/".join(f"({part})" if re.search(r"(?<=.)[+\-]", part) else part for part in parts)

r"""What OpenBMB/OlympiadBench's MathJudger makes of a text before it computes: boxes, signs, lists.

From inference/code/math_judger.py, which RUCAIBox/Virgo copies. Every function takes time linear
in the text, or gives up on it: a model may write anything.
"""

import re

MAX_CHARS = 10_000
"""Longer answers are unequal to all but themselves; the programs would try for hours."""

_REPLACED = {
    "\\left": "",
    "\\right": "",
    "\N{RATIO}": ":",  # the sign that Chinese answers use
    "\uff0c": ",",
    "$": "",
    "\\approx": "=",
    "\\simeq": "=",
    "\\sim": "=",
    "^\\prime": "'",
    "^{\\prime}": "'",
    "^\\circ": "",
    "%": "",
}
"""In this order."""

_STRIPPED = "\n$,.:;^_=+`!@#$%^&*~\uff0c。"
_UPRIGHT = re.compile(r"\\(?:mathrm|mathbf)\{~?([^}]*)\}")
_CHINESE = re.compile("[\u4e00-\u9fff]+")
_DOLLARS = re.compile(r"\$(.*?)\$")


class Unreadable(Exception):
    """The programs give up on the text, or would never end."""


def boxes(text: str) -> list[str]:
    r"""Contents of every \boxed{}, an escaped brace counting as a brace; a box within a box is there twice.

    Raises:
        Unreadable: a box is not closed, or all of them together are longer than MAX_CHARS.
    """
    starts = [match.end() for match in re.finditer(r"\\boxed{", text)]
    closing: dict[int, int] = {}
    if starts:
        opened: list[int] = []
        for brace in re.finditer("[{}]", text):
            if brace.group() == "{":
                opened.append(brace.end())
            elif opened:
                closing[opened.pop()] = brace.start()
    if any(start not in closing for start in starts):
        raise Unreadable("a box is not closed")
    if sum(closing[start] - start for start in starts) > MAX_CHARS:
        raise Unreadable(f"boxes of more than {MAX_CHARS} characters")
    return [text[start : closing[start]] for start in starts]


def cleaned(text: str) -> str:
    """The answer, less its dress: all boxes, else all $formulas$ of the last line, else the whole text."""
    found = boxes(text) or _DOLLARS.findall(text.strip().split("\n")[-1])
    answer: str = "".join(f"{one}," for one in found) if found else text
    if "\\in " in answer:
        answer = answer.split("\\in ", 2)[1]
    for sign, instead in _REPLACED.items():
        answer = answer.replace(sign, instead)
    answer = answer.strip(_STRIPPED)
    return _UPRIGHT.sub(r"\1", answer) if len(answer) <= MAX_CHARS else answer


def answers(text: str) -> list[str]:
    r"""The answers of a cleaned text: Chinese dropped, one per comma outside of brackets, two per \pm.

    Raises:
        Unreadable: longer than MAX_CHARS.
    """
    if len(text) > MAX_CHARS:
        raise Unreadable(f"an answer of more than {MAX_CHARS} characters")
    found: list[str] = []
    for answer in _by_comma(_CHINESE.sub("", text)):
        found += [answer.replace("\\pm", sign) for sign in "+-"] if "\\pm" in answer else [answer]
    return found


def _by_comma(text: str) -> list[str]:
    parts, start, depth = [], 0, 0
    for place, char in enumerate(text):
        depth += (char in "([") - (char in ")]")
        if char == "," and depth == 0:
            parts.append(text[start:place].strip())
            start = place + 1
    if start < len(text):
        parts.append(text[start:].strip())
    return parts

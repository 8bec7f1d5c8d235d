r"""MathVision as mathllm/MATH-V scores it (evaluation/evaluate.py, utils.py) and as RUCAIBox/Virgo does.

official: rules alone. The last box, or what follows a sentence such as "the answer is", is lower-cased,
cleaned and compared with the letter and with the option's value, as text and as numbers rounded to two
decimals: 0.33 is 1/3. fork: all boxes joined, each followed by a comma, go to the judge of MathVerse;
nothing else is looked at.
"""

import re
from collections.abc import Sequence
from typing import Final

from spica.answers.judging import JudgeClient
from spica.answers.published.mathverse import judged
from spica.answers.published.mathvision_latex import MAX_CHARS, rounded
from spica.answers.published.mathvision_values import Unreadable
from spica.answers.types import Scored, ScoreRow
from spica.artifacts.types import GOLD_UNPARSED

_LEADS: Final = ("the final answer is", "the answer is", "the correct answer is", "the answer should be")
_DROPPED: Final = (
    "\\left", "\\right", "^{\\circ}", "^\\circ", "{m}^3", "m^3", "{units}", "units", "{km}", "km",
)  # fmt: skip
_DROPPED_LATE: Final = ("\\left", "\\right", "^{\\circ}", "^\\circ", "\\$", "$")
_INTEGER = re.compile(r"0|-?[1-9][0-9]*")


def official(rows: Sequence[ScoreRow]) -> list[Scored]:
    """One verdict per row, in order."""
    return [_official(row) for row in rows]


def fork(rows: Sequence[ScoreRow], judge: JudgeClient | None = None) -> list[Scored]:
    """One verdict per row, in order; `unjudged` where no judge is given or it gives no verdict."""
    return [judged(row, joined_boxes(row.response), judge) for row in rows]


def joined_boxes(response: str) -> str:
    r"""Content of every \boxed{}, each followed by a comma; empty when the braces of one are never closed."""
    found: list[str] = []
    for start in re.finditer(r"\\boxed{", response):
        end = _closing_brace(response, start.end())
        if end is None:
            return ""
        found.append(response[start.end() : end] + ",")
    return "".join(found)


def answer_in(response: str) -> str:
    """What the program takes for the answer; the whole response when nothing marks one."""
    text = response.strip()
    for letter in "ABCDE":
        if text.endswith((f" {letter}.", f" ({letter}).")) or text.startswith(
            (f"{letter}\n", f"({letter})\n", f"({letter}) {letter}\n")
        ):
            text = letter
    if _is_float(tail := text.split("is ")[-1].rstrip(".")):
        text = tail
    if "oxed{" not in text:
        for lead in _LEADS:
            text = _after(_after(text, lead), lead.replace("the", "The"))
    elif text.count("oxed{") > 1:
        text = "\\boxed{" + text.split("oxed{")[-1]
    answer = _cleaned(text)
    for letter in "abcde":
        answer = answer.replace(f"({letter})", letter)
    for letter in "abcde":
        answer = answer.replace(f"{{{letter}}}", letter)
    return answer.rstrip(".").lstrip(":").strip()


def same(gold: str, given: str) -> bool:
    """Whether the program holds both for equal."""
    gold, given = gold.lower(), given.lower()
    if not gold.replace(" ", "") or not given.replace(" ", ""):
        return False
    if gold.strip() == given.strip():
        return True
    gold, given = _rounded_items(gold), _rounded_items(given)
    if gold == given:
        return True
    try:
        return rounded(given) == rounded(gold)
    except Unreadable:
        return False


def _official(row: ScoreRow) -> Scored:
    given = answer_in(row.response)
    gold = row.gold if isinstance(row.gold, str) else ",".join(row.gold)
    value = ""
    if row.options:
        index = ord(gold) - ord("A") if len(gold) == 1 else -1
        if not 0 <= index < len(row.options):
            return Scored(
                id=row.id, correct=False, extracted=given, method=GOLD_UNPARSED,
                reason="the program ends with an error: no option has the gold letter",
            )  # fmt: skip
        value = row.options[index]
    if same(gold, given):
        return Scored(id=row.id, correct=True, extracted=given, method="rules", reason="")
    if same(value, given):
        return Scored(
            id=row.id, correct=True, extracted=given, method="rules", reason="equals the option's value"
        )
    return Scored(id=row.id, correct=False, extracted=given, method="rules", reason="differs from the gold")


def _closing_brace(text: str, start: int) -> int | None:
    depth = 1
    for brace in re.compile(r"[{}]").finditer(text, start):
        depth += 1 if brace[0] == "{" else -1
        if not depth:
            return brace.start()
    return None


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _after(text: str, lead: str) -> str:
    """What follows the last `lead`, up to the end of the line or sentence."""
    tail = text.split(lead)[-1].strip()
    return tail.split("\n")[0].split(". ")[0] if lead in text else tail


def _cleaned(response: str) -> str:
    text = response.lower().replace("{}", "")
    start, end = text.find("oxed{"), text.rfind("}")
    if start >= 0 and end >= start + len("oxed{"):
        text = text[start + len("oxed{") : end]
    if (close := text.find("}")) >= 0 and (text.find("{") == -1 or close < text.find("{")):
        text = text[:close]
    text = text.split("=")[-1].split("\\approx")[-1]
    text = (
        text.replace(" ", "")
        .replace("\\,", "")
        .replace("\N{INFINITY}", "\\infty")
        .replace("+\\infty", "\\infty")
    )
    text = text.replace("\\\\", "\\").replace("\n", "").replace("\\text", "").replace("\\mbox", "")
    text = text.replace("bmatrix", "pmatrix")
    for part in _DROPPED:
        text = text.replace(part, "")
    return _canonical(text)


def _canonical(text: str) -> str:
    text = text.replace("\\!", "").replace("\\\\", "\\").replace("tfrac", "frac").replace("dfrac", "frac")
    for part in _DROPPED_LATE:
        text = text.replace(part, "")
    text = text.replace("\\%", "").replace("{.", "{0.")
    if not text:
        return text
    if text.startswith("."):
        text = "0" + text
    if text.count("\\approx") == 1:
        text = text.split("\\approx")[1]
    if "sqrt" in text:
        text = _braced_fractions(_braced_roots(text))
    if text == "0.5":
        return "\\frac{1}{2}"
    above, slash, below = text.partition("/")
    if slash and _INTEGER.fullmatch(above) and _INTEGER.fullmatch(below):
        return f"\\frac{{{above}}}{{{below}}}"
    return text


def _braced_roots(text: str) -> str:
    return re.sub(r"\\sqrt(?=[^{])(?!\\sqrt)(.)", r"\\sqrt{\1}", text, flags=re.DOTALL)


def _braced_fractions(text: str) -> str:
    r"""\frac12 becomes \frac{1}{2}; nothing changes when one of them has fewer than two characters left."""
    first, *rest = text.split("\\frac")
    fixed = [first]
    for part in rest:
        if part.startswith("{"):
            fixed.append(part)
        elif len(part) < 2:
            return text
        elif part[1] == "{":
            fixed.append(f"{{{part[0]}}}{part[1:]}")
        else:
            fixed.append(f"{{{part[0]}}}{{{part[1]}}}{part[2:]}")
    return "\\frac".join(fixed)


def _rounded_items(text: str) -> str:
    """A tuple or list with each item as a number; the text as it is when an item is none."""
    items = text[1:-1].split(",")
    if len(items) < 2 or text[0] + text[-1] not in ("()", "[]") or len(text) > MAX_CHARS:
        return text
    try:
        values = [item if "infty" in item or item in ("a", "-a") else str(rounded(item)) for item in items]
    except (Unreadable, ValueError):  # ValueError: an integer of too many digits to be written
        return text
    return f"{text[0]}{','.join(values)}{text[-1]}"

"""Whether an answer means the same as the gold answer (protocol D5)."""

import re
from typing import NamedTuple

from spica.answers import worker
from spica.answers.choices import same_choice
from spica.answers.clean import clean, join_thousands
from spica.answers.expressions import TOLERANCE
from spica.answers.extract import MAX_ANSWER_CHARS
from spica.answers.functions import NoValue
from spica.answers.lexer import Words
from spica.answers.normalise import normalise
from spica.answers.parse import parse
from spica.answers.realset import CONSTANTS
from spica.answers.tree import Beyond, Many, Measure, Node, NotMath, Num, Op, Rel, symbols, walk
from spica.answers.units import UNITS
from spica.answers.values import same
from spica.answers.words import numeral, same_text, yes_no
from spica.artifacts.types import Gold

__all__ = ["TOLERANCE", "Decision", "decide", "equal"]

_PLAIN_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,15})?")
_DECIMAL_COMMA = re.compile(r"-?(?:\d+,(?:\d{1,2}|\d{4,})|0,\d+)")
_TWO_NUMBERS = re.compile(r"-?\d+,\d")
"""Of a gold answer: 2 and 3 for an answer such as 2.3. `1,22` may be one number."""
_GLUED = re.compile(
    r"^((?:[^A-Za-z\\]|\\(?:frac|dfrac|times|cdot|sqrt|pi)(?![A-Za-z]))*[\d}])\s*((?:\\mu\s*|\\Omega\s*|[A-Za-z]){1,6})((?:\^\{?[23]\}?)?)$"
)
_SYMBOLS = {"t", "u", "l", "M"}
"""Units whose letters are more often symbols."""
_COUNTED = re.compile(
    r"^[\u4e00-\u9fff]{0,6}\s*([^\u4e00-\u9fff]*\d[^\u4e00-\u9fff]*)\s*[\u4e00-\u9fff]{0,6}$"
)
"""A number with Chinese words around it: what is counted."""
_WITHOUT_VALUE = re.compile(r"matrix|\\(?:sum|prod)[^a-zA-Z].*\\infty")
"""What has no value term by term and may have one by algebra."""
_HUGE = re.compile(r"\d{7}|\^\s*\{?[^{}^]{0,20}\^|\^\s*\{?\s*\d{3}|!\s*[!)}]|\d{3}\s*!|[eE]\d{3}")
"""Numbers, powers of powers and factorials that algebra would try to write out."""
_LETTERS = re.compile(r"[A-Za-z][A-Za-z ]+")
_MAX_ALGEBRA_CHARS = 400


class Decision(NamedTuple):
    """Whether it is right, which rule said so, and why not otherwise."""

    correct: bool
    method: str
    reason: str = ""


def equal(answer: str, gold: Gold) -> bool:
    """Whether an extracted answer is right; see `decide`."""
    return decide(answer, gold).correct


def decide(answer: str, gold: Gold) -> Decision:
    r"""Compares an extracted answer with the gold one, both read alike.

    letter: the letter, or the value of its option. yes_no: also true and false. Otherwise the first of these
    that knows both: plain numbers, words (case, spaces, articles do not matter), mathematics. Numbers agree
    exactly where both are exact, else within TOLERANCE or the gold answer's own. A percent sign on one side
    alone stands for the number or its hundredth; units are converted, one on one side alone counts only
    against `gold.unit`.
    """
    try:
        return _decide(answer, gold)
    except (RecursionError, OverflowError) as fault:
        return Decision(False, "unparsable", f"{type(fault).__name__}: {fault}")


def _decide(answer: str, gold: Gold) -> Decision:
    if len(answer) > MAX_ANSWER_CHARS:
        return Decision(False, "length", f"an answer of {len(answer)} characters")
    if gold.kind == "letter":
        return Decision(
            same_choice(answer, gold, lambda given, option: _same(given, option, gold)[0]), "letter"
        )
    if gold.kind == "yes_no":
        given = yes_no(normalise(answer))
        return Decision(given is not None and given == yes_no(gold.value), "yes_no")
    decision = Decision(False, "empty", "nothing there")
    for right in (gold.value, *gold.accepted):
        if len(right) > MAX_ANSWER_CHARS:
            continue
        found = _same(answer, right, gold)
        decision = Decision(*found)
        if decision.correct:
            break
    return decision


def _same(answer: str, right: str, gold: Gold) -> Decision:
    """One answer against one right one."""
    if _PLAIN_NUMBER.fullmatch(answer) and answer == right:
        return Decision(True, "number")
    given, wanted = numeral(clean(answer)), numeral(clean(right))
    if not given or not wanted:
        return Decision(False, "empty", "nothing to compare")
    if "".join(given.split()) == "".join(wanted.split()):
        return Decision(True, "text")
    if _LETTERS.fullmatch(given) and _LETTERS.fullmatch(wanted) and same_text(answer, right):
        return Decision(True, "text")
    try:
        may_be_decimal = not _TWO_NUMBERS.fullmatch(wanted) or _DECIMAL_COMMA.fullmatch(given)
        golds = _trees(wanted, decimal_comma=bool(may_be_decimal))
    except Words:
        return _as_words(answer, right)
    except Beyond:
        golds = []
    except NotMath as fault:
        return Decision(False, "unparsable", f"gold: {fault}")
    try:
        if golds:
            return _mathematics(given, golds, gold)
        parse(given)
    except Words:
        return _as_words(answer, right)
    except Beyond:
        pass
    except NotMath as fault:
        return Decision(False, "unparsable", str(fault))
    except NoValue as fault:
        if not _WITHOUT_VALUE.search(given + wanted):
            return Decision(False, "value", str(fault))
    return _algebra(given, wanted)


def gold_fault(gold: Gold) -> str:
    """Why a gold answer cannot be read; empty for one that can, words included."""
    if gold.kind != "math":
        return ""
    text = clean(gold.value)
    if not text:
        return "the gold answer is empty"
    if len(text) > MAX_ANSWER_CHARS:
        return f"a gold answer of {len(text)} characters"
    try:
        parse(text)
    except (Words, Beyond):
        return ""
    except NotMath as fault:
        return f"the gold answer is no mathematics: {fault}"
    return ""


def is_mathematics(gold: Gold) -> bool:
    """Whether the gold answer is a formula, so that no words can be right."""
    if gold.kind not in ("math", "number") or gold.accepted or len(gold.value) > MAX_ANSWER_CHARS:
        return False
    try:
        parse(gold.value)
    except NotMath:
        return False
    return True


def _as_words(answer: str, right: str) -> Decision:
    correct = same_text(answer, right)
    if not correct:
        given = yes_no(normalise(answer))
        correct = (
            given is not None
            and normalise(right).lower() in ("yes", "no", "true", "false")
            and given == yes_no(right)
        )
    return Decision(correct, "text", "" if correct else "other words")


def _trees(text: str, decimal_comma: bool = True) -> list[Node]:
    """The tree, and the trees of the other readings of a comma."""
    trees = [parse(text)]
    if decimal_comma and _DECIMAL_COMMA.fullmatch(text):
        trees.append(parse(text.replace(",", ".")))
    if join_thousands(text) != text:
        trees.append(parse(text, thousands=False))
    return trees


def _mathematics(given: str, golds: list[Node], gold: Gold) -> Decision:
    if gold.unit:
        given = _without(given, clean(gold.unit))
    given = _decimal_comma(given, golds)
    if not any(symbols(tree) - CONSTANTS for tree in golds):
        given = _GLUED.sub(_spaced, _COUNTED.sub(r"\1", given))
    answers = _trees(given)
    tolerances = _tolerances(gold.tolerance)
    for answer in answers:
        for right in golds:
            if gold.unit and _measured(answer) and not _measured(right):
                right = _with_unit(right, gold.unit)
            if same(answer, right, tolerances):
                return Decision(True, "value")
    return Decision(False, "value", "another value")


def _spaced(match: re.Match[str]) -> str:
    """A unit written right behind its number, where no symbol can be meant."""
    name = match[2].replace("\\", "").replace(" ", "")
    return f"{match[1]}\\text{{ {name}}}{match[3]}" if name in UNITS and name not in _SYMBOLS else match[0]


def _decimal_comma(given: str, golds: list[Node]) -> str:
    """`1,5` as 1.5 where one number is asked for: no list of two could be right."""
    single = isinstance(golds[0], Num) and len(golds) == 1
    return given.replace(",", ".") if single and _DECIMAL_COMMA.fullmatch(given) else given


def _without(given: str, unit: str) -> str:
    """The answer without the letters of the unit asked for, which `5N` writes like a product."""
    compact, ending = "".join(given.split()), "".join(unit.split())
    return (
        compact.removesuffix(ending)
        if compact[:1].isdigit() and ending.isalpha() and compact[: -len(ending)][-1:].isdigit()
        else given
    )


def _measured(node: Node) -> bool:
    return any(isinstance(part, Measure) for part in walk(node))


def _with_unit(node: Node, unit: str) -> Node:
    """The gold answer in the unit that the question asks for."""
    if isinstance(node, Many):
        return Many(tuple(_with_unit(item, unit) for item in node.items))
    if isinstance(node, Rel):
        return Rel(node.relations, (*node.sides[:-1], _with_unit(node.sides[-1], unit)))
    try:
        one = parse(f"1 {clean(unit)}")
    except NotMath:
        return node
    return Op("mul", (node, one)) if _measured(one) else node


def _tolerances(text: str) -> list[float]:
    """Absolute tolerances; empty where there is none or it is no number."""
    try:
        return [abs(float(part)) for part in text.split(",")] if text.strip() else []
    except ValueError:
        return []


def _algebra(given: str, wanted: str) -> Decision:
    """What only a computer algebra system reads: sums, integrals, limits."""
    if len(given) > _MAX_ALGEBRA_CHARS or len(wanted) > _MAX_ALGEBRA_CHARS:
        return Decision(False, "length", "too long for algebra")
    if _HUGE.search(given):
        return Decision(False, "value", "numbers beyond all caps")
    try:
        return Decision(
            bool(worker.call("spica.answers.algebra:equal", given, wanted)), "algebra", "by algebra"
        )
    except worker.WorkerError as fault:
        return Decision(False, "algebra", f"{type(fault).__name__}: {fault}")

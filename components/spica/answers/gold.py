"""The typed gold answer of a row to be scored, and where a letter is asked for its options."""

import re

from spica.answers.extract import extract
from spica.answers.final import final_answer
from spica.answers.types import Judged, ScoreRow
from spica.artifacts.types import Gold

_OPTION = re.compile(r"^\s*\(?([A-J])\s*[.:)\uff1a\u3001\uff0e]\s*(.*?)\s*$")
_LETTER = re.compile(r"\(?([A-Ja-j])\)?\.?")


def gold_of(row: ScoreRow, benchmark: Judged) -> Gold:
    r"""What is right, as `spica.answers.equal` takes it.

    OlympiadBench asks for all of several gold answers, MMMU accepts each. A gold box, as some of MathVision's
    are, is opened; a letter is one where there are options or the question prints them (MathVerse).
    """
    golds = [_opened(gold) for gold in ((row.gold,) if isinstance(row.gold, str) else row.gold)]
    if benchmark == "math":  # may be a worked solution
        golds = [
            final_answer(gold) or gold if "$" in gold or "boxed" in gold or len(gold) > 200 else gold
            for gold in golds
        ]
    value = ", ".join(golds) if benchmark == "olympiadbench" else golds[0] if golds else ""
    accepted = tuple(golds[1:]) if benchmark != "olympiadbench" else ()
    letter = _LETTER.fullmatch(value.strip())
    options = row.options or (options_in(row.question) if benchmark == "mathverse" else ())
    if letter and (options or benchmark in ("mathverse", "mathvision", "mmmu")):
        return Gold(kind="letter", value=letter[1].upper(), options=options)
    if value.strip().lower() in ("yes", "no"):
        return Gold(kind="yes_no", value=value.strip().lower())
    return Gold(kind="math", value=value, unit=row.unit, tolerance=row.error, accepted=accepted)


def options_in(question: str) -> tuple[str, ...]:
    """The options that a question prints on lines of their own, `A: 30` and so on, from A without a gap."""
    found: list[str] = []
    for line in question.splitlines():
        match = _OPTION.match(line)
        if match and match[1] == chr(ord("A") + len(found)):
            found.append(match[2])
    return tuple(found) if len(found) > 1 else ()


def _opened(gold: str) -> str:
    gold = gold.replace("\x0crac", "\\frac")  # a form feed, which once was an escape
    boxed = extract(gold) if "boxed" in gold else None
    return (gold if boxed is None else boxed).strip()

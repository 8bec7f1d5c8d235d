"""What `spica score` reads and writes."""

from typing import Literal

from spica.artifacts.types import Row

Mode = Literal["repaired", "official", "fork"]
"""repaired: what is right; official: the verdict of the benchmark's published program, defects included;
fork: that of the program in the authors' repository (RUCAIBox/Virgo)."""

Judged = Literal["mathverse", "mathvision", "olympiadbench", "mmmu", "math"]
"""A benchmark, or `math`: the bare comparison without a benchmark's extraction."""


UNJUDGED = "unjudged"
"""Scored.method where a language model was needed and there was none, or it gave no verdict."""


class ScoreRow(Row):
    r"""One response and what is right.

    {"id": "7", "response": "... so \\boxed{\\frac{1}{2}}", "gold": "0.5"}
    """

    id: str
    response: str
    gold: str | tuple[str, ...]
    """Several: OlympiadBench, all of them are asked for; MMMU, each of them is right. None: nothing is."""
    question: str = ""
    options: tuple[str, ...] = ()
    """Option values in letter order."""
    answer_type: str = ""
    error: str = ""
    """Absolute tolerance, OlympiadBench's `error`."""
    unit: str = ""
    language: str = ""


class Scored(Row):
    """The verdict over one row."""

    id: str
    correct: bool
    extracted: str | None
    """What was read out of the response; None when nothing could be."""
    method: str
    """Which rule decided, such as `letter`, `number`, `algebra`, `judge`, `unjudged`."""
    reason: str

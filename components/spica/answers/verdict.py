"""The verdict over one response."""

from typing import Literal

from spica.answers.compare import equal
from spica.answers.extract import extract
from spica.artifacts.types import Gold

Verdict = Literal["correct", "wrong", "no_box", "no_end", "empty"]


def judge(response: str, finish_reason: str, gold: Gold) -> Verdict:
    """Empty; no_end (the model did not stop by itself, whatever it said so far); no_box; wrong; correct."""
    if not response.strip():
        return "empty"
    if finish_reason != "stop":
        return "no_end"
    answer = extract(response)
    if answer is None:
        return "no_box"
    return "correct" if equal(answer, gold) else "wrong"

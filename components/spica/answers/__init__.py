"""Reads the answer out of a response and compares it with the gold answer; nothing is ever evaluated."""

from spica.answers.compare import equal
from spica.answers.extract import extract
from spica.answers.parts import Parts, has_thought, join_response, split_response
from spica.answers.verdict import Verdict, judge

__all__ = [
    "Parts",
    "Verdict",
    "equal",
    "extract",
    "has_thought",
    "join_response",
    "judge",
    "split_response",
]

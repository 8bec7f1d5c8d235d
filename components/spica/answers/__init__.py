"""Reads the answer out of a response and compares it with the gold answer; nothing is ever evaluated."""

from spica.answers.compare import equal
from spica.answers.extract import extract, join_response
from spica.answers.verdict import Verdict, judge

__all__ = ["Verdict", "equal", "extract", "join_response", "judge"]

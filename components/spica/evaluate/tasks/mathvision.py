"""MATH-Vision (Wang et al. 2024, arXiv 2402.14804), test: 3,040 items, five levels, 16 subjects.

Reported by level and by subject (protocol C2). As in the official evaluate.py a choice counts by its letter
or by the value of its option; unlike there, numbers are not rounded to two decimals before they are compared.
"""

from spica.artifacts.types import PromptRow
from spica.evaluate.tasks.plain import golds, pick

__all__ = ["golds", "groups"]


def groups(row: PromptRow) -> dict[str, str]:
    """By level, subject, question type."""
    return pick(row, "level", "subject", "question_type", "glyphs")

"""MathVerse (Zhang et al. 2024, arXiv 2403.14624), testmini: 788 problems in five versions, 3,940 items.

The score is the micro accuracy, which equals the mean of the versions; it is reported by version, subject,
subfield and question type (protocol C1). A choice counts by its letter or by the value of its option. The
official judge is a language model; here equality is decided by rule.
"""

from spica.artifacts.types import PromptRow
from spica.evaluate.tasks.plain import golds, pick

__all__ = ["golds", "groups"]


def groups(row: PromptRow) -> dict[str, str]:
    """By version, subject, subfield, question type."""
    return pick(row, "version", "subject", "subfield", "question_type", "glyphs")

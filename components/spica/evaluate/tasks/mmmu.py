"""MMMU (Yue et al. 2023, arXiv 2311.16502), validation: 900 questions, 30 subjects of six disciplines.

Reported by difficulty (the paper's table 3), discipline, subject and question type (protocol C4). An open
question may accept several answers. A response from which no choice can be read is wrong here; the official
script draws a letter at random.
"""

import json

from spica.artifacts.types import Gold, PromptRow
from spica.evaluate.tasks.plain import pick


def groups(row: PromptRow) -> dict[str, str]:
    """By difficulty, discipline, subject, question type."""
    return pick(row, "difficulty", "discipline", "subject", "question_type", "glyphs")


def golds(row: PromptRow) -> list[Gold]:
    """The gold answer and every other one that the row accepts."""
    accepted = json.loads(row.meta.get("accepted_answers", "[]"))
    return [row.gold, *(Gold(kind="text", value=answer) for answer in accepted if answer != row.gold.value)]

r"""MathVerse testmini: 788 problems in five versions, 3,940 questions; Text Only is left out.

    paper       Zhang et al. 2024, arXiv 2403.14624
    rows        AI4Math/MathVerse; English; 436 multiple-choice and 352 free-form problems per version
    prompt      the row's own `query_cot`, the picture before it; Vision Only asks in the picture alone. The
                published files offer `query_wo` (answer at once) for the leaderboard's w/o score too
    headline    micro accuracy over 3,940, which equals the mean of the versions
    groups      version, subject, subfield, question type, version x subject
    official    two questions to a language model: extraction, then comparison (spica.answers.judging)
    fork        the authors cut the last box at its first closing brace, then ask the same two questions

The judge is told `question_for_eval`, which holds the question of Vision Only and its choices. (The published
script of the fork gives it the whole prompt, which is empty there.)
"""

from spica.answers.types import ScoreRow
from spica.artifacts.types import PromptRow
from spica.evaluate.tasks.parts import Part, crossed, pick, pictures_first, published


def groups(row: PromptRow) -> dict[str, str]:
    """By version, subject, subfield, question type."""
    return pick(row, "version", "subject", "subfield", "question_type") | crossed(row, "version", "subject")


def official(row: PromptRow) -> list[Part]:
    """The picture, then `query_cot`."""
    return pictures_first(row, published(row, "query_cot"))


def score_row(row: PromptRow, response: str) -> ScoreRow:
    """With the question as the published judge is meant to see it."""
    return ScoreRow(
        id=row.id,
        response=response,
        gold=published(row, "answer"),
        question=row.meta.get("question_for_eval", row.question),
        options=row.gold.options,
    )

r"""MATH-Vision test: 3,040 competition problems of five levels and 16 subjects.

paper       Wang et al. 2024, arXiv 2402.14804
rows        mathllm/MATH-V; English; 1,532 with five options, 1,508 free-form; one merged picture each
prompt      models/Qwen-VL.py (chain of thought): the instruction, the question with its <imageN> tags as
            text, the options unless they are just A to E; the one picture before it
headline    micro accuracy over 3,040
groups      level, subject, question type, level x subject
official    evaluation/evaluate.py: letter or value of the option; numbers rounded to two decimals
fork        the authors join all boxes with commas and ask MathVerse's judge
"""

from spica.answers.choices import LETTERS
from spica.answers.types import ScoreRow
from spica.artifacts.types import PromptRow
from spica.evaluate.tasks.parts import Part, crossed, pick, pictures_first, published

_INSTRUCTION = (
    'Please solve the problem step by step and put your answer in one "\\boxed{}". '
    'If it is a multiple choice question, only one letter is allowed in the "\\boxed{}".'
)


def groups(row: PromptRow) -> dict[str, str]:
    """By level, subject, question type, and level x subject."""
    return pick(row, "level", "subject", "question_type") | crossed(row, "level", "subject")


def official(row: PromptRow) -> list[Part]:
    """The picture, then instruction, question and options, each line ended."""
    options = row.gold.options
    shown = "" if "".join(options) == "ABCDE" else "".join(_lines(options))
    return pictures_first(row, f"{_INSTRUCTION}\n{published(row, 'question')}\n{shown}")


def _lines(options: tuple[str, ...]) -> list[str]:
    return [f"({letter}) {value}\n" for letter, value in zip(LETTERS, options, strict=False)]


def score_row(row: PromptRow, response: str) -> ScoreRow:
    """With the question as published."""
    return ScoreRow(
        id=row.id,
        response=response,
        gold=published(row, "answer"),
        question=published(row, "question"),
        options=row.gold.options,
    )

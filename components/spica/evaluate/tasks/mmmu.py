r"""MMMU validation: 900 questions of 30 subjects in six disciplines.

    paper       Yue et al. 2023, arXiv 2311.16502
    rows        MMMU/MMMU; English; 847 multiple-choice, 53 open; up to seven pictures
    prompt      mmmu/configs/llava1.5.yaml with construct_prompt of mmmu/utils/data_utils.py; a picture in
                place of every <image k>, as often as it is named (the published run shows a model the first
                one only)
    headline    micro accuracy over 900
    groups      difficulty (the paper's table 3), discipline, subject, question type; each weighted by its
                count
    official    mmmu/utils/eval_utils.py; where no choice can be read it draws one at random (seed 42)
    fork        n/a: the authors' scorer was never published

In mode `repaired` an unreadable choice is wrong, and counted.
"""

import json
import re

from spica.answers.choices import LETTERS
from spica.answers.types import ScoreRow
from spica.artifacts.types import PromptRow
from spica.evaluate.tasks.parts import Part, pick, pictures_in_place, published

_TAG = re.compile(r"<image[ _]?(\d)>")
_CHOOSE = "Answer with the option's letter from the given choices directly."
_SAY = "Answer the question using a single word or phrase."


def groups(row: PromptRow) -> dict[str, str]:
    """By difficulty, discipline, subject, question type."""
    return pick(row, "difficulty", "discipline", "subject", "question_type")


def official(row: PromptRow) -> list[Part]:
    """Question, options and how to answer, with pictures in place of their tags."""
    question, options = published(row, "question"), json.loads(row.meta.get("options", "[]"))
    if not options:
        return pictures_in_place(row, f"{question}\n{_SAY}", _TAG)
    lines = "".join(f"({letter}) {value}\n" for letter, value in zip(LETTERS, options, strict=False))
    return pictures_in_place(row, f"{question}\n{lines}\n{_CHOOSE}", _TAG)


def score_row(row: PromptRow, response: str) -> ScoreRow:
    """Each of several golds is right."""
    answers = tuple(json.loads(published(row, "answers")))
    return ScoreRow(
        id=row.id,
        response=response,
        gold=answers[0] if len(answers) == 1 else answers,
        question=published(row, "question"),
        options=tuple(json.loads(row.meta.get("options", "[]"))),
    )

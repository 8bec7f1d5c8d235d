"""MMMU (Yue et al. 2023, arXiv 2311.16502), validation: 900 questions, 30 subjects of six disciplines.

Data card: MMMU/MMMU on the Hub, one config per subject, parquet with up to seven embedded pictures; English;
847 multiple-choice and 53 open questions; topic_difficulty Easy 295, Medium 424, Hard 181. A row:

    {"id": "validation_Accounting_1", "question": "<image 1> Baxter Company has a relevant range of production
     between 15,000 and 30,000 units. ... what are the per unit manufacturing overhead costs incurred?",
     "options": "['$6', '$7', '$8', '$9']", "explanation": "", "image_1": {"bytes": "...", "path": "..."},
     "image_2": null, "img_type": "['Tables']", "answer": "B", "topic_difficulty": "Medium",
     "question_type": "multiple-choice", "subfield": "Managerial Accounting"}

`options` is the repr of a Python list. Pictures come in the order of their first tag in question and
options. An option that is a picture reads "image k", k counting the pictures as sent. Of several accepted
open answers the first is the gold; all of them stand in meta as `accepted_answers` (JSON).
"""

import ast
import json
import re
import warnings
from typing import Any

from spica.artifacts.types import Gold
from spica.sources.draft import BadRowError, Draft, Record, meta_of, text_of, world_facts
from spica.sources.golds import parse_gold
from spica.sources.pictures import embedded
from spica.sources.wording import LETTERS, take_tags, with_choices

FILES = ("validation*.parquet", "validation*.jsonl", "validation*.json")
MAX_IMAGES = 7

DISCIPLINES = {
    "Art and Design": ("Art", "Art_Theory", "Design", "Music"),
    "Business": ("Accounting", "Economics", "Finance", "Manage", "Marketing"),
    "Science": ("Biology", "Chemistry", "Geography", "Math", "Physics"),
    "Health and Medicine": (
        "Basic_Medical_Science", "Clinical_Medicine", "Diagnostics_and_Laboratory_Medicine", "Pharmacy",
        "Public_Health",
    ),
    "Humanities and Social Science": ("History", "Literature", "Psychology", "Sociology"),
    "Tech and Engineering": (
        "Agriculture", "Architecture_and_Engineering", "Computer_Science", "Electronics", "Energy_and_Power",
        "Materials", "Mechanical_Engineering",
    ),
}  # fmt: skip
"""DOMAIN_CAT2SUB_CAT of MMMU-Benchmark/MMMU (mmmu/utils/data_utils.py)."""

_DISCIPLINE = {subject: discipline for discipline, subjects in DISCIPLINES.items() for subject in subjects}
_ID = re.compile(r"(?:dev|validation|test)_(\w+)_\d+")
_TAG = re.compile(r"<image[ _]?(\d)>")
_MAX_LITERAL = 20_000


def parse(record: Record) -> list[Draft]:
    """The one draft of the row.

    Raises:
        BadRowError: An id without a known subject, options that are no list, tags and pictures that do not
            match.
    """
    row, facts = record.row, world_facts(record.row)
    row_id = text_of(row, "id")
    found = _ID.fullmatch(row_id)
    if found is None or found[1] not in _DISCIPLINE:
        raise BadRowError(
            f"id: SPLIT_SUBJECT_NUMBER with one of the 30 subjects is needed, found {row_id!r:.60}"
        )
    raw_options = _text_list(row.get("options") or "[]", "options")
    question, tags = take_tags(text_of(row, "question"))
    order = list(
        dict.fromkeys([*tags, *(number for option in raw_options for number in _TAG.findall(option))])
    )
    shown = [str(i) for i in range(1, MAX_IMAGES + 1) if row.get(f"image_{i}") is not None]
    if sorted(order) != shown:
        raise BadRowError(f"tags name pictures {', '.join(sorted(order))}, the row holds {', '.join(shown)}")
    options = [
        _TAG.sub(lambda tag: f"image {order.index(tag[1]) + 1}", option).strip() for option in raw_options
    ]
    gold, accepted = _gold(row, options)
    return [
        Draft(
            id=row_id,
            question=with_choices(question, options),
            gold=gold,
            modality=facts.modality or "visual",
            pictures=tuple(embedded(record, row[f"image_{number}"]) for number in order),
            num_steps=facts.num_steps[0] if facts.num_steps else None,
            meta=meta_of(
                row, difficulty="topic_difficulty", question_type="question_type", subfield="subfield"
            )
            | {"subject": found[1], "discipline": _DISCIPLINE[found[1]]}
            | ({"accepted_answers": json.dumps(accepted)} if len(accepted) > 1 else {})
            | facts.meta,
        )
    ]


def _gold(row: Any, options: list[str]) -> tuple[Gold, list[str]]:
    answer = row.get("answer")
    accepted = [answer]
    if not options and isinstance(answer, list | str) and str(answer).startswith("["):
        accepted = _text_list(answer, "answer")
    if not accepted:
        raise BadRowError("answer: it is an empty list")
    return parse_gold(text_of({"answer": accepted[0]}, "answer"), options), [
        str(answer) for answer in accepted
    ]


def _text_list(value: Any, key: str) -> list[str]:
    """A list of texts, or the repr of one; only literals are read, nothing is run."""
    if isinstance(value, str) and len(value) <= _MAX_LITERAL:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # LaTeX in a repr looks like an unknown escape
                value = ast.literal_eval(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
            raise BadRowError(f"{key}: the repr of a list is needed") from error
    if (
        not isinstance(value, list)
        or len(value) > len(LETTERS)
        or not all(isinstance(v, str | int | float) for v in value)
    ):
        raise BadRowError(f"{key}: a list of up to {len(LETTERS)} texts is needed")
    return [str(item) for item in value]

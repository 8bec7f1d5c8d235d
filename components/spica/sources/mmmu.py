"""MMMU (Yue et al. 2023, arXiv 2311.16502), validation: 900 questions, 30 subjects of six disciplines.

Data card: MMMU/MMMU on the Hub, one config per subject, parquet with up to seven embedded pictures; English;
847 multiple-choice and 53 open questions; topic_difficulty Easy 295, Medium 424, Hard 181. A row:

    {"id": "validation_Accounting_1", "question": "<image 1> Baxter Company has a relevant range of production
     between 15,000 and 30,000 units. ... what are the per unit manufacturing overhead costs incurred?",
     "options": "['$6', '$7', '$8', '$9']", "explanation": "", "image_1": {"bytes": "...", "path": "..."},
     "image_2": null, "img_type": "['Tables']", "answer": "B", "topic_difficulty": "Medium",
     "question_type": "multiple-choice", "subfield": "Managerial Accounting"}

`options` is the repr of a Python list. Pictures come in the order of their first tag in question and
options. A picture that is an option, and each of several, reads "image k", k counting the pictures as sent.
Of several accepted open answers the first is the gold. meta keeps `question`, `options` and `answers` (JSON
lists) as published.

MMMU_DEV_VAL.tsv of VLMEvalKit has the options in columns A, B, ..., the subject in `category`, no difficulty,
and writes an open question as a choice between its answer and "Other Answers"; it is read as the open
question that it was.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from spica.sources.draft import BadRowError, Draft, Record, meta_of, text_of, world_facts
from spica.sources.official import official_gold, text_list
from spica.sources.pictures import embedded
from spica.sources.tsv import tsv_pictures
from spica.sources.wording import LETTERS, take_tags, with_choices

FILES = ("validation*.parquet", "validation*.jsonl", "validation*.json", "MMMU_DEV_VAL.tsv")
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
_ID = re.compile(r"(dev|validation|test)_(\w+)_\d+")
_TAG = re.compile(r"<image[ _]?(\d)>")
_OTHER = "Other Answers"


class _Official(NamedTuple):
    """A row, whichever file it came in."""

    id: str
    subject: str
    question: str
    options: list[str]
    answers: list[str]
    images: Mapping[str, Any]
    """By number of their tag."""


def parse(record: Record) -> list[Draft]:
    """The one draft of the row; none of a dev row in a file that holds both splits.

    Raises:
        BadRowError: Another split, no known subject, options that are no list, tags and pictures that do not
        match.
    """
    if record.file.suffix == ".tsv" and record.row.get("split") == "dev":
        return []
    row, facts = record.row, world_facts(record.row)
    given = _of_table(record) if record.file.suffix == ".tsv" else _of_row(row)
    if given.subject not in _DISCIPLINE:
        raise BadRowError(f"subject: one of the 30 subjects is needed, found {given.subject!r:.60}")
    tags = [tag for text in (given.question, *given.options) for tag in _TAG.findall(text)]
    order = list(dict.fromkeys(tags)) or list(given.images)
    if not set(order) <= given.images.keys():
        missing = ", ".join(sorted(set(order) - given.images.keys()))
        raise BadRowError(f"tags name picture {missing}, the row holds {', '.join(given.images) or 'none'}")
    options = [_numbered(option, order) for option in given.options]
    question = _numbered(given.question, order) if len(order) > 1 else take_tags(given.question)[0]
    gold, remarks = official_gold(given.answers[0], options, accepted=tuple(given.answers[1:]))
    return [
        Draft(
            id=given.id,
            question=with_choices(question, options),
            gold=gold,
            modality=facts.modality or "visual",
            pictures=tuple(embedded(record, given.images[number]) for number in order),
            num_steps=facts.num_steps[0] if facts.num_steps else None,
            meta=meta_of(row, difficulty="topic_difficulty", subfield="subfield")
            | {"question_type": "multiple-choice" if options else "open"}
            | {"subject": given.subject, "discipline": _DISCIPLINE[given.subject]}
            | facts.meta
            | {"question": given.question, "answers": json.dumps(given.answers, ensure_ascii=False)}
            | ({"options": json.dumps(given.options, ensure_ascii=False)} if given.options else {})
            | remarks,
        )
    ]


def _numbered(text: str, order: list[str]) -> str:
    return _TAG.sub(lambda tag: f"image {order.index(tag[1]) + 1}", text).strip()


def _of_row(row: Mapping[str, Any]) -> _Official:
    row_id = text_of(row, "id")
    found = _ID.fullmatch(row_id)
    if found is None:
        raise BadRowError(f"id: SPLIT_SUBJECT_NUMBER is needed, found {row_id!r:.60}")
    if found[1] != "validation":
        raise BadRowError(f"id {row_id!r:.60}: a row of split {found[1]}, validation is needed")
    options = text_list(row.get("options"), "options", len(LETTERS))
    images = {str(i): image for i in range(1, MAX_IMAGES + 1) if (image := row.get(f"image_{i}")) is not None}
    return _Official(row_id, found[2], text_of(row, "question"), options, _answers(row, options), images)


def _of_table(record: Record) -> _Official:
    row = record.row
    if row.get("split", "validation") != "validation":
        raise BadRowError(f"split: a row of {row['split']!r:.40}, validation is needed")
    options = [str(row[letter]) for letter in LETTERS if letter in row]
    subject = text_of(row, "category").replace(" ", "_")
    images = {str(i): image for i, image in enumerate(tsv_pictures(row.get("image")), start=1)}
    row_id = str(row.get("id") or f"validation_{subject}_{text_of(row, 'index')}")
    if options[1:] == [_OTHER]:
        answers = text_list(options[0], "A", len(LETTERS)) if options[0].startswith("[") else [options[0]]
        return _Official(row_id, subject, text_of(row, "question"), [], answers, images)
    return _Official(row_id, subject, text_of(row, "question"), options, _answers(row, options), images)


def _answers(row: Mapping[str, Any], options: list[str]) -> list[str]:
    """The letter of a choice; the accepted answers of an open question, whose `answer` may be a list."""
    answer = row.get("answer")
    if not options and isinstance(answer, list | str) and str(answer).startswith("["):
        answers = text_list(answer, "answer", len(LETTERS))
        if not answers:
            raise BadRowError("answer: it is an empty list")
        return answers
    return [text_of(row, "answer")]

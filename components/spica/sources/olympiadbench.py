r"""OlympiadBench (He et al. 2024, arXiv 2402.14008), open-ended part: 6,728 problems in ten subsets.

Data card: OpenBMB/OlympiadBench on GitHub (data/OE_*.json, images/img_N.jpg), Hothan/OlympiadBench on the
Hub (parquet, image_1..image_9), OlympiadBench.tsv of VLMEvalKit (subset in `source`); English and Chinese;
MM = with pictures (4,055), TO = text only (2,673). Theorem proofs (TP_*) have no answer to compare and are
not read. A row of OE_MM_physics_en_COMP.json:

    {"id": 1148, "subfield": "Mechanics", "context": "A solid, uniform cylinder of mass $m$ ... <img_4082>",
     "question": "What is the period of small oscillations?", "solution": ["..."], "final_answer": ["$1.25$"],
     "is_multiple_answer": false, "unit": "s", "answer_type": "Numerical", "error": "5e-2"}

meta keeps what the official prompt and scorer need as published: `context`, `question` (with its tags),
`unit`, `error` (absolute tolerance), `answer_type`, `is_multiple_answer`, `final_answer` (JSON list).
"""

import json
import re
from pathlib import Path
from typing import Any

from spica.sources.draft import BadRowError, Draft, Record, meta_of, text_of, world_facts
from spica.sources.official import is_true, official_gold, text_list
from spica.sources.pictures import embedded, locate
from spica.sources.tsv import tsv_pictures
from spica.sources.wording import take_tags

FILES = ("OE_*.parquet", "OE_*.jsonl", "OE_*.json", "OlympiadBench*.tsv")
MAX_IMAGES = 9
_MAX_ANSWERS = 50
_PICTURE_FOLDERS = (".", "images", "../images")
_SUBSET = re.compile(r"(OE|TP)_(?:MM|TO)_(?:maths|physics)_(?:en|zh)_(?:COMP|CEE)")


def parse(record: Record) -> list[Draft]:
    """The one draft of the row; none of a theorem proof.

    Raises:
        BadRowError: An unknown subset, no final answer, another number of different tags than pictures.
    """
    row, facts = record.row, world_facts(record.row)
    subset = str(row.get("source", record.file.stem))
    named = _SUBSET.fullmatch(subset)
    if named is None:
        raise BadRowError(f"subset: a name such as OE_MM_maths_en_COMP is needed, found {subset!r:.60}")
    if named[1] == "TP":
        return []
    context = text_of(row, "context") + "\n" if row.get("context") else ""
    question, tags = take_tags(context + text_of(row, "question"))
    pictures = _pictures(record, list(dict.fromkeys(tags)))
    answers = text_list(row.get("final_answer"), "final_answer", _MAX_ANSWERS)
    if not answers:
        raise BadRowError("final_answer: at least one text is needed")
    unit, error = (str(row.get(key) or "") for key in ("unit", "error"))
    joined = ", ".join(answer.strip().strip("$") for answer in answers) if len(answers) > 1 else answers[0]
    gold, remarks = official_gold(joined, unit=unit, tolerance=error)
    return [
        Draft(
            id=f"{subset}-{text_of(row, 'id' if 'id' in row else 'index')}",
            question=question,
            gold=gold,
            modality=facts.modality or ("both" if pictures else "text"),
            pictures=pictures,
            num_steps=facts.num_steps[0] if facts.num_steps else None,
            meta={"subset": subset}
            | meta_of(row, subfield="subfield", answer_type="answer_type")
            | facts.meta
            | meta_of(row, unit="unit", error="error", context="context", question="question")
            | {"is_multiple_answer": str(is_true(row.get("is_multiple_answer"))).lower()}
            | {"final_answer": json.dumps(answers, ensure_ascii=False)}
            | remarks,
        )
    ]


def _pictures(record: Record, numbers: list[str]) -> tuple[Path | bytes, ...]:
    """Pictures in the order of their first tag: columns of the row, or files named after the tags.

    A tag such as <image_2> names a column; tags that number the pictures of the whole set (<img_4082>)
    stand for the columns in their order.
    """
    given: list[Any] = [record.row.get(f"image_{i}") for i in range(1, MAX_IMAGES + 1)]
    if record.file.suffix == ".tsv":
        given = list(tsv_pictures(record.row.get("image"))) if numbers else []
    columns = {str(i): column for i, column in enumerate(given, start=1) if column is not None}
    if not columns:
        return tuple(_file(record, number) for number in numbers)
    if len(columns) != len(numbers):
        raise BadRowError(f"{len(numbers)} different picture tags for {len(columns)} pictures")
    order = numbers if set(numbers) == set(columns) else list(columns)
    return tuple(embedded(record, columns[number], _PICTURE_FOLDERS) for number in order)


def _file(record: Record, number: str) -> Path:
    """The picture of <img_NUMBER>: official ones are JPEG, the miniature's PNG."""
    try:
        return locate(record, f"img_{number}.png", _PICTURE_FOLDERS)
    except BadRowError:
        return locate(record, f"img_{number}.jpg", _PICTURE_FOLDERS)

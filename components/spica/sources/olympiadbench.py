"""OlympiadBench (He et al. 2024, arXiv 2402.14008), open-ended part: 6,728 problems in ten subsets.

Data card: OpenBMB/OlympiadBench on GitHub (data/OE_*.json, images/img_N.jpg), Hothan/OlympiadBench on the
Hub (parquet, image_1..image_9); English and Chinese; MM = with pictures (4,055), TO = text only (2,673).
Theorem proofs (TP_*) have no answer to compare and are not read. A row of OE_MM_physics_en_COMP.json:

    {"id": 1148, "subfield": "Mechanics", "context": "A solid, uniform cylinder of mass $m$ ... <img_4082>",
     "question": "What is the period of small oscillations?", "solution": ["..."], "final_answer": ["$1.25$"],
     "is_multiple_answer": false, "unit": "s", "answer_type": "Numerical", "error": "5e-2"}

`unit`, `error` (absolute tolerance), `answer_type` and `subset` go into meta. Several answers are joined by
", " in the gold; `answers` in meta holds them as a JSON list, since one may be a tuple such as (1, 2).
"""

import json
from pathlib import Path
from typing import Any

from spica.artifacts.types import Gold
from spica.sources.draft import BadRowError, Draft, Record, meta_of, text_of, world_facts
from spica.sources.golds import parse_gold
from spica.sources.pictures import embedded, locate
from spica.sources.wording import take_tags

FILES = ("OE_*.parquet", "OE_*.jsonl", "OE_*.json")
MAX_IMAGES = 9
_PICTURE_FOLDERS = (".", "images", "../images")


def parse(record: Record) -> list[Draft]:
    """The one draft of the row.

    Raises:
        BadRowError: No final answer, or another number of different tags than pictures.
    """
    row, facts = record.row, world_facts(record.row)
    context = text_of(row, "context") + "\n" if row.get("context") else ""
    question, tags = take_tags(context + text_of(row, "question"))
    pictures = _pictures(record, list(dict.fromkeys(tags)))
    answers = _answers(row.get("final_answer"))
    return [
        Draft(
            id=f"{record.file.stem}-{text_of(row, 'id')}",
            question=question,
            gold=answers[0] if len(answers) == 1 else Gold(kind="text", value=", ".join(_values(answers))),
            modality=facts.modality or ("both" if pictures else "text"),
            pictures=pictures,
            num_steps=facts.num_steps[0] if facts.num_steps else None,
            meta={"subset": record.file.stem}
            | meta_of(row, subfield="subfield", unit="unit", error="error", answer_type="answer_type")
            | ({"answers": json.dumps(_values(answers))} if len(answers) > 1 else {})
            | facts.meta,
        )
    ]


def _pictures(record: Record, numbers: list[str]) -> tuple[Path | bytes, ...]:
    """Pictures in the order of their first tag: columns of the row, or files named after the tags."""
    columns = [
        record.row[f"image_{i}"] for i in range(1, MAX_IMAGES + 1) if record.row.get(f"image_{i}") is not None
    ]
    if not columns:
        return tuple(_file(record, number) for number in numbers)
    if len(columns) != len(numbers):
        raise BadRowError(f"{len(numbers)} different picture tags for {len(columns)} pictures")
    return tuple(embedded(record, column, _PICTURE_FOLDERS) for column in columns)


def _file(record: Record, number: str) -> Path:
    """The picture of <img_NUMBER>: official ones are JPEG, the miniature's PNG."""
    try:
        return locate(record, f"img_{number}.png", _PICTURE_FOLDERS)
    except BadRowError:
        return locate(record, f"img_{number}.jpg", _PICTURE_FOLDERS)


def _answers(final_answer: Any) -> list[Gold]:
    if (
        not isinstance(final_answer, list)
        or not final_answer
        or not all(isinstance(a, str) for a in final_answer)
    ):
        raise BadRowError("final_answer: a list of texts is needed")
    return [parse_gold(answer) for answer in final_answer]


def _values(golds: list[Gold]) -> list[str]:
    return [gold.value for gold in golds]

r"""Plain question rows: text questions for D_T, the dev split, and anybody's own data.

Data card: JSON Lines, a JSON array or parquet with `question`, `answer`, and if they are there `id`,
`domain`, and `image` or `images` (paths beside the file, or embedded). Options may stand in the question as
"(A) x" lines, or in `options`, a list. RUC-AIBOX/long_form_thought_data_5k has `combined_text`, a thought
with its boxed answer, in place of `answer`: as format `questions` its questions are asked anew, as format
`long_form_thought` its responses are taken as they are. A row of it:

    {"question": "What is the units digit of $3^{2005}$?", "domain": "math", "combined_text":
     "<|begin_of_thought|>\n\n...\n\n<|end_of_thought|>\n\n<|begin_of_solution|>\n\n... \\boxed{3}\n\n..."}
"""

from collections.abc import Mapping
from typing import Any

from spica.answers import extract
from spica.sources.draft import BadRowError, Draft, Record, meta_of, text_of, world_facts
from spica.sources.golds import parse_gold
from spica.sources.pictures import embedded
from spica.sources.wording import LETTERS, split_choices, take_tags, with_choices

FILES = ("*.parquet", "*.jsonl", "*.json")


def parse(record: Record) -> list[Draft]:
    """The one draft of the row.

    Raises:
        BadRowError: No question, no answer, a picture without its file, more tags than pictures.
    """
    row, facts = record.row, world_facts(record.row)
    text, tags = take_tags(text_of(row, "question"))
    stem, options = split_choices(text)
    if not stem:
        raise BadRowError("question: it is empty")
    options = options or _options(row)
    images = _images(row)
    if tags and len(tags) != len(images):
        raise BadRowError(f"{len(tags)} picture tags for {len(images)} pictures")
    return [
        Draft(
            id=record.id,
            question=with_choices(stem, options),
            gold=parse_gold(_answer(record), options),
            modality=facts.modality or ("visual" if images else "text"),
            pictures=tuple(embedded(record, image) for image in images),
            num_steps=facts.num_steps[0] if facts.num_steps else None,
            meta=meta_of(row, domain="domain") | facts.meta,
        )
    ]


def _images(row: Mapping[str, Any]) -> list[Any]:
    given = row.get("images") if row.get("image") is None else [row["image"]]
    if given is not None and not isinstance(given, list):
        raise BadRowError(f"images: a list is needed, found {type(given).__name__}")
    return given or []


def _options(row: Mapping[str, Any]) -> tuple[str, ...]:
    given = row.get("options") or []
    if not isinstance(given, list) or not all(isinstance(one, str | int | float) for one in given):
        raise BadRowError("options: a list of texts is needed")
    if len(given) == 1 or len(given) > len(LETTERS):
        raise BadRowError(f"options: 2 to {len(LETTERS)} are needed, found {len(given)}")
    return tuple(str(one) for one in given)


def _answer(record: Record) -> str:
    if record.row.get("answer") is None and "combined_text" in record.row:
        boxed = extract(text_of(record.row, "combined_text"))
        if boxed is None:
            raise BadRowError("combined_text: no boxed answer")
        return boxed
    return text_of(record.row, "answer")

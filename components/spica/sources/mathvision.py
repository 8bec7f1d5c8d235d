r"""MATH-Vision (Wang et al. 2024, arXiv 2402.14804), test: 3,040 competition problems, 5 levels, 16 subjects.

Data card: mathllm/MATH-V on GitHub (data/test.jsonl, images/), MathLLMs/MathVision on the Hub; English;
1,532 items with five options, 1,508 free-form. testmini is a part of test and is not read. A row:

    {"id": "6", "question": "... In which picture can we see the kittens of Misty, ...?\n<image1>",
     "options": ["A", "B", "C", "D", "E"], "answer": "D", "solution": null, "level": 3, "subject": "logic",
     "image": "images/6.jpg"}

Each row has ONE merged picture, whatever number of <imageN> tags its question holds. Options that are just
their letters are drawn in it.
"""

from spica.sources.draft import BadRowError, Draft, Record, meta_of, text_of, world_facts
from spica.sources.golds import parse_gold
from spica.sources.pictures import embedded
from spica.sources.wording import LETTERS, take_tags, with_choices

FILES = ("test-*.parquet", "test.jsonl")


def parse(record: Record) -> list[Draft]:
    """The one draft of the row.

    Raises:
        BadRowError: No question, options that are no list of texts, no picture, no usable answer.
    """
    row, facts = record.row, world_facts(record.row)
    question = take_tags(text_of(row, "question"))[0]
    options = row.get("options") or ()
    if (
        not isinstance(options, list | tuple)
        or not all(isinstance(o, str) for o in options)
        or len(options) > len(LETTERS)
    ):
        raise BadRowError(f"options: a list of up to {len(LETTERS)} texts is needed")
    picture = row.get("decoded_image") or row.get("image")
    return [
        Draft(
            id=text_of(row, "id"),
            question=with_choices(question, options),
            gold=parse_gold(text_of(row, "answer"), options),
            modality=facts.modality or "visual",
            pictures=(embedded(record, picture, (".", "..", "images")),),
            num_steps=facts.num_steps[0] if facts.num_steps else None,
            meta=meta_of(row, level="level", subject="subject")
            | {"question_type": "multi-choice" if options else "free-form"}
            | facts.meta,
        )
    ]

r"""MATH-Vision (Wang et al. 2024, arXiv 2402.14804), test: 3,040 competition problems, 5 levels, 16 subjects.

Data card: mathllm/MATH-V on GitHub (data/test.jsonl, images/), MathLLMs/MathVision on the Hub (parquet),
MathVision.tsv of VLMEvalKit (options in `choices`, subject in `category`); English; 1,532 items with five
options, 1,508 free-form. testmini is a part of test and is not read. A row:

    {"id": "6", "question": "... In which picture can we see the kittens of Misty, ...?\n<image1>",
     "options": ["A", "B", "C", "D", "E"], "answer": "D", "solution": null, "level": 3, "subject": "logic",
     "image": "images/6.jpg"}

Each row has ONE merged picture, whatever number of <imageN> tags its question holds. Options that are just
their letters are drawn in it. meta keeps `question` and `answer` as published: the official prompt prints the
tags, the official scorer reads the answer.
"""

from spica.sources.draft import Draft, Record, meta_of, text_of, world_facts
from spica.sources.official import official_gold, text_list
from spica.sources.pictures import embedded
from spica.sources.tsv import tsv_pictures
from spica.sources.wording import LETTERS, take_tags, with_choices

FILES = ("test-*.parquet", "test.parquet", "test.jsonl", "MathVision.tsv")


def parse(record: Record) -> list[Draft]:
    """The one draft of the row.

    Raises:
        BadRowError: No question, options that are no list of texts, no picture, no answer.
    """
    row, facts = record.row, world_facts(record.row)
    question = take_tags(text_of(row, "question"))[0]
    options = text_list(row.get("options", row.get("choices")), "options", len(LETTERS))
    gold, remarks = official_gold(text_of(row, "answer"), options)
    return [
        Draft(
            id=text_of(row, "id" if "id" in row else "index"),
            question=with_choices(question, options),
            gold=gold,
            modality=facts.modality or "visual",
            pictures=(embedded(record, _picture(record), (".", "..", "images")),),
            num_steps=facts.num_steps[0] if facts.num_steps else None,
            meta=meta_of(row, level="level", subject="subject" if "subject" in row else "category")
            | {"question_type": "multi-choice" if options else "free-form"}
            | facts.meta
            | meta_of(row, question="question", answer="answer")
            | remarks,
        )
    ]


def _picture(record: Record) -> object:
    if record.file.suffix != ".tsv":
        return record.row.get("decoded_image") or record.row.get("image")
    found = tsv_pictures(str(record.row.get("image")))
    return found[0] if len(found) == 1 else None

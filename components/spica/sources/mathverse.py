r"""MathVerse (Zhang et al. 2024, arXiv 2403.14624), testmini: 788 problems in five versions, 3,940 rows.

Data card: AI4Math/MathVerse on the Hub (parquet), ZrrSkywalker/MathVerse on GitHub (data/testmini.json with
images/), MathVerse_MINI*.tsv of VLMEvalKit; English; plane and solid geometry, functions; 436 multiple-choice
and 352 free-form problems. Text Only is a file of its own and is not read. A row:

    {"sample_index": "5", "problem_index": "1", "problem_version": "Vision Only", "question": "",
     "image": "images_version_5/image_1.png", "answer": "B", "question_type": "multi-choice",
     "metadata": {"split": "testmini", "source": "GeoQA", "subject": "Plane Geometry", "subfield": "Angle"},
     "query_wo": "Please directly answer the question and provide the correct option letter, ...",
     "query_cot": "Please first conduct reasoning, and then answer the question and ...",
     "question_for_eval": "As shown in the figure, ... angle CED is ()\nChoices:\nA:40°\nB:60°\nC:120°"}

Vision Only has an empty question, it is drawn into the picture; its option values come from
question_for_eval. meta keeps `query_cot` (the official prompt), `question_for_eval` and `answer` (what the
official judge sees) as published.
"""

from spica.sources.draft import BadRowError, Draft, Modality, Record, meta_of, text_of, world_facts
from spica.sources.official import mapping, official_gold
from spica.sources.pictures import embedded
from spica.sources.tsv import tsv_pictures
from spica.sources.wording import split_choices, take_tags, with_choices

FILES = ("testmini.parquet", "testmini-*.parquet", "testmini.json", "testmini.jsonl", "MathVerse_MINI*.tsv")

VERSIONS: dict[str, Modality] = {
    "Text Dominant": "both",
    "Text Lite": "both",
    "Vision Intensive": "both",
    "Vision Dominant": "visual",
    "Vision Only": "visual",
}
"""Where the essential conditions stand, by version (figure 2 of the MathVerse paper)."""


def parse(record: Record) -> list[Draft]:
    """The one draft of the row.

    Raises:
        BadRowError: An unknown version (Text Only too), another split, no picture, no answer.
    """
    row, facts = record.row, world_facts(record.row)
    version = text_of(row, "problem_version")
    if version not in VERSIONS:
        raise BadRowError(f"problem_version: one of {', '.join(VERSIONS)} is needed, found {version!r:.40}")
    details = mapping(row.get("metadata"))
    if (split := details.get("split", "testmini")) != "testmini":
        raise BadRowError(f"metadata: a row of split {split!r:.40}, testmini is needed")
    question = text_of(row, "question") if row.get("question") else ""
    stem, options = split_choices(take_tags(question)[0])
    if not options and row.get("question_type") == "multi-choice":
        options = split_choices(text_of(row, "question_for_eval"))[1]
    gold, remarks = official_gold(text_of(row, "answer"), options)
    return [
        Draft(
            id=text_of(row, "sample_index"),
            question=with_choices(stem, options) if stem else "",
            gold=gold,
            modality=facts.modality or VERSIONS[version],
            pictures=(embedded(record, _picture(record)),),
            num_steps=facts.num_steps[0] if facts.num_steps else None,
            meta=meta_of(
                row, version="problem_version", problem="problem_index", question_type="question_type"
            )
            | meta_of(details, subject="subject", subfield="subfield")
            | facts.meta
            | meta_of(row, query_cot="query_cot", question_for_eval="question_for_eval", answer="answer")
            | remarks,
        )
    ]


def _picture(record: Record) -> object:
    image = record.row.get("image")
    if record.file.suffix != ".tsv":
        return image
    found = tsv_pictures(str(image))
    return found[0] if len(found) == 1 else None

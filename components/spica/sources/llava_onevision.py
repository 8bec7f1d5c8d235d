r"""VQA rows of lmms-lab/LLaVA-OneVision-Data (table 1 of the paper names eight of its sources).

Data card: one config per source, such as GEOS(MathV360K), chartqa(cauldron,llava_format); parquet with
embedded pictures, or JSON with a picture folder; English; licences differ by source. A row of
TabMWP(MathV360K):

    {"id": "identity_168434", "image": {"bytes": "...", "path": "24069.png"},
     "data_source": "TabMWP(MathV360K)", "conversations": [
       {"from": "human", "value": "<image>\nHint: Please answer the question and provide the final answer at
        the end.\nQuestion: If Myra wants to buy one of each item on the list, how much will it cost?"},
       {"from": "gpt", "value": "The answer is $38.51"}]}

Rows with several questions are split; each keeps the row's pictures, which stand in its first turn only.
"""

from collections.abc import Mapping
from typing import Any

from spica.sources.draft import BadRowError, Draft, Record, world_facts
from spica.sources.golds import parse_gold
from spica.sources.known import VQA
from spica.sources.pictures import embedded
from spica.sources.wording import split_choices, strip_instructions, take_tags, with_choices

FILES = ("*.parquet", "*.jsonl", "*.json")


def parse(record: Record) -> list[Draft]:
    """One draft per question of the row.

    Raises:
        BadRowError: Malformed turns, another number of tags than pictures, no usable answer.
    """
    row, facts = record.row, world_facts(record.row)
    turns = _turns(row.get("conversations"))
    if facts.num_steps and len(facts.num_steps) != len(turns):
        raise BadRowError(f"spica.num_steps: {len(facts.num_steps)} numbers for {len(turns)} questions")
    asked = [take_tags(question) for question, _ in turns]
    images = row.get("image")
    images = images if isinstance(images, list) else [] if images is None else [images]
    num_tags = sum(len(tags) for _, tags in asked)
    if num_tags != len(images) or num_tags != len(asked[0][1]):
        raise BadRowError(f"{num_tags} <image> tags for {len(images)} pictures; all stand in the first turn")
    pictures = tuple(embedded(record, image) for image in images)
    origin = str(row.get("data_source") or "")
    domain = {"domain": VQA[origin].domain} if origin in VQA else {}
    drafts = []
    for i, ((text, _), (_, answer)) in enumerate(zip(asked, turns, strict=True)):
        stem, options = split_choices(strip_instructions(text))
        drafts.append(
            Draft(
                id=f"{record.id}-{i}" if len(turns) > 1 else record.id,
                question=with_choices(stem, options),
                gold=parse_gold(answer, options),
                modality=facts.modality or ("visual" if pictures else "text"),
                pictures=pictures,
                num_steps=facts.num_steps[i] if facts.num_steps else None,
                meta={"question_type": "multi-choice" if options else "free-form", **domain, **facts.meta},
                origin=origin,
            )
        )
    return drafts


def _turns(value: Any) -> list[tuple[str, str]]:
    """(Question, answer) pairs."""
    texts: list[str] = []
    for turn in value if isinstance(value, list) else []:
        speaker = "gpt" if len(texts) % 2 else "human"
        if (
            not isinstance(turn, Mapping)
            or turn.get("from") != speaker
            or not isinstance(turn.get("value"), str)
        ):
            raise BadRowError(f"conversations: turn {len(texts)} must be a text from {speaker}")
        texts.append(turn["value"])
    if not texts or len(texts) % 2:
        raise BadRowError("conversations: pairs of human and gpt are needed")
    return list(zip(texts[::2], texts[1::2], strict=True))

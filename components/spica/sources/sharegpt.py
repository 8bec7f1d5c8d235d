r"""A distilled set in LLaMA-Factory's sharegpt layout (protocol A4): questions with a teacher's responses.

Data card: one JSON array (or JSON Lines); the layout of the authors' numina_llava_special_prompt_5k.json, of
the data sets that LLaMA-Factory's data/README.md describes, and of Spica's own train.json. A row:

    {"id": "12", "messages": [
       {"role": "user", "content": "Please first think deeply ... \\boxed{}.\nWhat is $3^2$?"},
       {"role": "assistant", "content": "<|begin_of_thought|>\n\n...\n\n<|end_of_thought|>\n\n..."}],
     "images": []}

`conversations` with `from` and `value` (human, gpt, system) say the same. The prompt's prefix is taken off
the question, since the recipe's is put before it again. The gold is `answer` or `gold` where the row has one,
else what the response boxed; a row without both is kept, its gold marked as not read. Nobody is asked again:
the response travels along.
"""

from collections.abc import Mapping
from typing import Any

from spica.answers import extract
from spica.artifacts.types import GOLD_UNPARSED, Gold
from spica.sources.draft import BadRowError, Draft, Record, meta_of, text_of
from spica.sources.golds import keep_gold
from spica.sources.pictures import embedded
from spica.sources.wording import split_choices, strip_prefix, take_tags

FILES = ("train.json", "*.json", "*.jsonl", "*.parquet")

_ROLES = {"human": "user", "gpt": "assistant", "user": "user", "assistant": "assistant", "system": "system"}


def parse(record: Record) -> list[Draft]:
    """The one draft of the row.

    Raises:
        BadRowError: Other turns than one question and one response, another number of tags than pictures.
    """
    question, response = _turns(record.row)
    images = record.row.get("images") or []
    if not isinstance(images, list):
        raise BadRowError(f"images: a list is needed, found {type(images).__name__}")
    return [answered(record, question, response, images)]


def answered(record: Record, question: str, response: str, images: list[Any]) -> Draft:
    """A draft whose response is there already.

    Args:
        record: The row; `id`, `domain`, `answer` or `gold`, and `teacher` are read where it has them.
        question: With picture tags and, maybe, the prefix.
        response: Thought and solution.
        images: As many as there are tags.

    Raises:
        BadRowError: No question, no response, another number of tags than pictures.
    """
    row = record.row
    text, tags = take_tags(question)
    asked = strip_prefix(text)
    if not asked or not response.strip():
        raise BadRowError("question or response: it is empty")
    if len(tags) != len(images):
        raise BadRowError(f"{len(tags)} picture tags for {len(images)} pictures")
    gold, unparsed = _gold(row, response, split_choices(asked)[1])
    return Draft(
        id=record.id,
        question=asked,
        gold=gold,
        modality="visual" if images else "text",
        pictures=tuple(embedded(record, image) for image in images),
        meta=meta_of(row, domain="domain") | unparsed,
        response=response.strip(),
        teacher=text_of(row, "teacher") if row.get("teacher") else "",
        origin=text_of(row, "origin") if row.get("origin") else "",
    )


def _turns(row: Mapping[str, Any]) -> tuple[str, str]:
    turns = row.get("messages", row.get("conversations"))
    said: list[tuple[str, str]] = []
    for turn in turns if isinstance(turns, list) else []:
        role, text = (
            (turn.get("role", turn.get("from")), turn.get("content", turn.get("value")))
            if isinstance(turn, Mapping)
            else (None, None)
        )
        if not isinstance(role, str) or role not in _ROLES or not isinstance(text, str):
            raise BadRowError(f"messages: turn {len(said)} must be a text of user, assistant or system")
        said.append((_ROLES[role], text))
    asked = [turn for turn in said if turn[0] != "system"]
    if [role for role, _ in asked] != ["user", "assistant"]:
        raise BadRowError("messages: one question of the user and one response are needed")
    return asked[0][1], asked[1][1]


def _gold(row: Mapping[str, Any], response: str, options: tuple[str, ...]) -> tuple[Gold, dict[str, str]]:
    for key in ("answer", "gold"):
        if row.get(key) not in (None, ""):
            return keep_gold(text_of(row, key), options)
    boxed = extract(response)
    if boxed is None:
        return Gold(kind="text", value=""), {GOLD_UNPARSED: "no answer in the row, no box in its response"}
    return keep_gold(boxed, options)

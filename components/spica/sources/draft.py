"""What a loader makes of one official row: a question whose pictures still lie where they came from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from spica.artifacts.types import Gold

Modality = Literal["text", "visual", "both"]


class BadRowError(ValueError):
    """A row that cannot be used; the text is the reason that quarantine.jsonl gives."""


class Record(NamedTuple):
    """One raw row and where it stands."""

    file: Path
    line: int
    """1-based: the line of a JSONL file, the place in an array or table."""
    row: Mapping[str, Any]
    root: Path
    """Folder of the source; no picture lies outside of it."""
    is_only_file: bool = True
    """False where the source has other files, whose lines have the same numbers."""

    @property
    def id(self) -> str:
        """The row's `id`; where it has none its line, behind the name of its file among several."""
        if self.row.get("id") not in (None, ""):
            return str(self.row["id"])
        if self.is_only_file:
            return str(self.line)
        name = self.file.relative_to(self.root).with_suffix("")
        return f"{'-'.join(name.parts)}-{self.line}"


@dataclass(frozen=True)
class Draft:
    """One question of a row.

    Attributes:
        id: Unique in its source.
        question: As PromptRow.question: no tags, no hints, options in the one form.
        pictures: A file below the record's root or the bytes of one, in the order of their tags.
        gold: The right answer.
        modality: Where the facts stand.
        num_steps: Steps where the world knows them.
        meta: Official keys worth reporting by.
        origin: Data set and configuration, where the row says so.
        response: One that came with the question; None where a teacher has to be asked.
        teacher: Who wrote it, where the row says so.
    """

    id: str
    question: str
    gold: Gold
    modality: Modality
    pictures: tuple[Path | bytes, ...] = ()
    num_steps: int | None = None
    meta: dict[str, str] = field(default_factory=dict)
    origin: str = ""
    response: str | None = None
    teacher: str = ""


@dataclass(frozen=True)
class WorldFacts:
    """What the miniature's rows say in their extra key `spica`; official rows have no such key."""

    num_steps: tuple[int, ...] = ()
    """One per question of the row."""
    modality: Modality | None = None
    meta: dict[str, str] = field(default_factory=dict)


def is_utf8(draft: Draft) -> bool:
    """False when JSON escapes brought in half a character (a lone surrogate)."""
    texts = [draft.id, draft.question, draft.gold.value, *draft.gold.options, *draft.meta.values()]
    texts += [draft.origin, draft.teacher, draft.response or ""]
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        return False
    return True


def text_of(row: Mapping[str, Any], key: str) -> str:
    """A string of the row; numbers are taken as written.

    Raises:
        BadRowError: The key is missing or holds no string and no number.
    """
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise BadRowError(f"{key}: a text or a number is needed, found {type(value).__name__}")
    return str(value)


def meta_of(row: Mapping[str, Any], **keys: str) -> dict[str, str]:
    """Meta entries name=value for each name=official key that the row fills."""
    return {name: str(row[key]) for name, key in keys.items() if row.get(key) not in (None, "")}


def world_facts(row: Mapping[str, Any]) -> WorldFacts:
    """Reads the key `spica`.

    Raises:
        BadRowError: The key is there and malformed.
    """
    facts = row.get("spica")
    if facts is None:
        return WorldFacts()
    if not isinstance(facts, Mapping):
        raise BadRowError("spica: an object is needed")
    steps, modality, glyphs = facts.get("num_steps"), facts.get("modality"), facts.get("glyphs")
    steps = tuple(steps) if isinstance(steps, list) else (steps,)
    if not all(type(k) is int and k >= 1 for k in steps):
        raise BadRowError(
            f"spica.num_steps: whole numbers from 1 are needed, found {facts.get('num_steps')!r}"
        )
    if modality not in get_args(Modality):
        raise BadRowError(f"spica.modality: one of {get_args(Modality)} is needed, found {modality!r}")
    if glyphs not in (None, "train", "heldout"):
        raise BadRowError(f"spica.glyphs: train or heldout is needed, found {glyphs!r}")
    return WorldFacts(steps, modality, {"glyphs": glyphs} if glyphs else {})

"""What is asked: the questions of benchmarks and dev split, each under every repetition penalty."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from spica.artifacts.rows import read_jsonl
from spica.artifacts.types import PromptRow
from spica.errors import Fault, IntegrityError

DEV = "dev"
"""Score.source of every dev question, whatever its source in the recipe is called."""


class Item(NamedTuple):
    """One question and where its pictures lie."""

    row: PromptRow
    images_root: Path
    source: str
    """Benchmark name, or `dev`."""


class Key(NamedTuple):
    """What an answer belongs to."""

    id: str
    repetition_penalty: float


class Question(NamedTuple):
    """One item under one repetition penalty."""

    item: Item
    repetition_penalty: float

    @property
    def key(self) -> Key:
        return Key(self.item.row.id, self.repetition_penalty)


def read_items(held_out: Path) -> list[Item]:
    """All items in canonical order: benchmarks, then dev, each as its file has them.

    Args:
        held_out: Folder of the prompts artifact with both.

    Raises:
        DataError: A line of theirs is no question.
        IntegrityError: There is none, or an id occurs twice.
    """
    items = [Item(row, held_out, row.source) for row in read_jsonl(held_out / "prompts.jsonl", PromptRow)]
    items += [Item(row, held_out, DEV) for row in read_jsonl(held_out / "dev.jsonl", PromptRow)]
    counts = Counter(item.row.id for item in items)
    doubled = sorted(row_id for row_id, count in counts.items() if count > 1)
    if doubled or not items:
        raise IntegrityError(
            Fault(
                where="questions of benchmarks and dev",
                found=f"id {doubled[0]!r} more than once ({len(doubled)} such ids)" if doubled else "none",
                allowed="at least one question, each with an id of its own",
                next="look at the sources in the recipe: two of them may hold the same rows",
            )
        )
    return items


def plan(items: Sequence[Item], repetition_penalties: Sequence[float]) -> list[Question]:
    """Every question in canonical order: penalties as in the recipe, then items."""
    return [Question(item, penalty) for penalty in repetition_penalties for item in items]

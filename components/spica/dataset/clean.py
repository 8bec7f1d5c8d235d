"""Takes out of a data set what is broken, what is there twice, and what a test set holds."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeVar

from spica.artifacts.rows import parse_lines
from spica.artifacts.types import PromptRow, Quarantined, Rollout, Row
from spica.dataset.rows import Sample, sample_fault

RowT = TypeVar("RowT", bound=Row)
Identity = tuple[str, ...]


class Refused(NamedTuple):
    """A sample that is left out because another one says the same."""

    id: str
    other: str
    """The row it equals."""


@dataclass
class Cleaned:
    """What is left, and what went."""

    samples: list[Sample] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    duplicates: list[Refused] = field(default_factory=list)
    contaminated: list[Refused] = field(default_factory=list)


def identity(row: PromptRow) -> Identity:
    """Equal for questions that ask the same of the same: context and question, spaces aside, and pixels."""
    return (" ".join(row.question.split()), *(image.pixels for image in row.images))


def clean(prompts: Path, rollouts: Path, tests: Iterable[PromptRow]) -> Cleaned:
    """Joins kept rollouts with their questions by id and sorts out what cannot be trained on.

    Args:
        prompts: A prompts artifact's folder.
        rollouts: A rollouts artifact's folder, its kept.jsonl.
        tests: Questions of benchmarks and dev, whose (question, pixels) may not be trained on.
    """
    result = Cleaned()
    known = _known(
        read_numbered(prompts / "prompts.jsonl", PromptRow, result.quarantined), result.quarantined
    )
    forbidden = {identity(row): f"{row.source}/{row.id}" for row in tests}
    seen: dict[Identity, str] = {}
    for line, rollout in read_numbered(rollouts / "kept.jsonl", Rollout, result.quarantined):
        row = known.get(rollout.id)
        fault = "no question has this id" if row is None else sample_fault(Sample(row, rollout), prompts)
        if row is None or fault:
            result.quarantined.append(
                Quarantined(file="kept.jsonl", line=line, reason=f"{rollout.id}: {fault}")
            )
        elif (key := identity(row)) in forbidden:
            result.contaminated.append(Refused(row.id, forbidden[key]))
        elif key in seen:
            result.duplicates.append(Refused(row.id, seen[key]))
        else:
            seen[key] = row.id
            result.samples.append(Sample(row, rollout))
    return result


def read_numbered(path: Path, row_type: type[RowT], bad: list[Quarantined]) -> Iterator[tuple[int, RowT]]:
    """Rows with their line numbers, 1-based; lines that are none go to `bad`."""
    torn: list[Quarantined] = []
    rows = list(parse_lines(path, row_type, torn))
    bad.extend(torn)
    skipped = {one.line for one in torn}
    with path.open("rb") as file:
        numbers = [n for n, line in enumerate(file, start=1) if line.strip() and n not in skipped]
    return zip(numbers, rows, strict=True)


def _known(rows: Iterable[tuple[int, PromptRow]], bad: list[Quarantined]) -> Mapping[str, PromptRow]:
    """Questions by id; a second one with the same id is put aside."""
    known: dict[str, PromptRow] = {}
    for line, row in rows:
        if known.setdefault(row.id, row) is not row:
            bad.append(
                Quarantined(file="prompts.jsonl", line=line, reason=f"{row.id}: a second row of this id")
            )
    return known


def bad_fraction(cleaned: Cleaned) -> float:
    """Share of quarantined rows among all that were read for training."""
    num_good = sum(map(len, _good(cleaned)))
    num_bad = len(cleaned.quarantined)
    return num_bad / (num_bad + num_good) if num_bad else 0.0


def _good(cleaned: Cleaned) -> tuple[Sequence[object], ...]:
    return cleaned.samples, cleaned.duplicates, cleaned.contaminated

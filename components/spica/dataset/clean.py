"""Takes out of a data set what is broken, what is there twice, and what a test set holds."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeVar

from spica.artifacts.rows import parse_lines
from spica.artifacts.types import PromptRow, Quarantined, Rollout, Row
from spica.dataset.contamination import Findings, Identity, find, identity
from spica.dataset.rows import Sample, sample_fault

RowT = TypeVar("RowT", bound=Row)


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
    findings: Findings = field(default_factory=Findings)


def clean(prompts: Path, rollouts: Path, tests: Sequence[PromptRow], test_images: Path) -> Cleaned:
    """Joins kept rollouts with their questions by id and sorts out what cannot be trained on.

    Args:
        prompts: A prompts artifact's folder.
        rollouts: A rollouts artifact's folder, its kept.jsonl; several rollouts of one question may be kept.
        tests: Questions of benchmarks and dev, which may not be trained on.
        test_images: Folder to which their picture paths are relative.
    """
    result = Cleaned()
    samples = list(_joined(prompts, rollouts, result.quarantined))
    asked = {sample.prompt.id: sample.prompt for sample in samples}
    result.findings = find(list(asked.values()), prompts, tests, test_images)
    result.contaminated = [Refused(hit.id, hit.other) for hit in result.findings.hits]
    forbidden = {hit.id for hit in result.findings.hits}
    first: dict[Identity, str] = {}
    for sample in samples:
        row = sample.prompt
        if row.id in forbidden:
            continue
        if first.setdefault(identity(row), row.id) == row.id:
            result.samples.append(sample)
        else:
            result.duplicates.append(Refused(row.id, first[identity(row)]))
    return result


def _joined(prompts: Path, rollouts: Path, bad: list[Quarantined]) -> Iterator[Sample]:
    known = _known(read_numbered(prompts / "prompts.jsonl", PromptRow, bad), bad)
    seen: set[tuple[str, int]] = set()
    for line, rollout in read_numbered(rollouts / "kept.jsonl", Rollout, bad):
        row = known.get(rollout.id)
        fault = "no question has this id" if row is None else sample_fault(Sample(row, rollout), prompts)
        if (rollout.id, rollout.index) in seen:
            fault = f"a second row of rollout {rollout.index}"
        if row is None or fault:
            bad.append(Quarantined(file="kept.jsonl", line=line, reason=f"{rollout.id}: {fault}"))
        else:
            seen.add((rollout.id, rollout.index))
            yield Sample(row, rollout)


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
    num_good = len(cleaned.samples) + len(cleaned.duplicates) + len(cleaned.contaminated)
    num_bad = len(cleaned.quarantined)
    return num_bad / (num_bad + num_good) if num_bad else 0.0

"""The stage `sources`: official rows to Prompts, pictures to PNG, bad rows to quarantine.jsonl."""

import logging
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import get_args

from spica.artifacts.manifest import Artifact, Manifest
from spica.artifacts.resolve import materialize
from spica.artifacts.rows import write_jsonl
from spica.artifacts.types import PromptRow, Quarantined
from spica.artifacts.workspace import Workspace
from spica.errors import DataError, Fault
from spica.launch.contract import Launcher
from spica.recipe.schema import Benchmark, Source
from spica.recipe.slices import SourcesSlice
from spica.sources import llava_onevision, mathverse, mathvision, mmmu, olympiadbench, questions
from spica.sources.draft import BadRowError, Draft, Record, is_utf8
from spica.sources.pictures import decode, write_png
from spica.sources.records import read_records

log = logging.getLogger("spica.sources")

MAX_BAD_FRACTION = 0.5
"""Above this share of unusable rows the format or the folder is wrong; below, bad rows are put aside.

Of a benchmark no row may be bad: an accuracy over fewer questions is another figure.
"""
_BENCHMARKS = get_args(Benchmark)
_MAX_SHOWN = 10


def run(slice: SourcesSlice, inputs: Mapping[str, Artifact], out: Workspace, launcher: Launcher) -> Manifest:
    """Reads every source of the slice into prompts.jsonl, images/ and quarantine.jsonl.

    Rows of a dev split go to dev.jsonl instead; where the slice has none, there is no such file.
    Metrics: num_rows and num_quarantined, in all and per source (num_rows.NAME).

    Raises:
        RecipeError, PrerequisiteError: A URI that cannot be read.
        DataError: A source with no or mostly unusable rows, a benchmark with one, or two sources of one name.
    """
    rows: dict[str, list[PromptRow]] = {}
    bad: list[Quarantined] = []
    metrics: dict[str, float | int | str] = {}
    for index, source in enumerate([*slice.sources, *slice.dev]):
        if source.name in rows:
            raise DataError(
                Fault("sources", f"two named {source.name!r}", "distinct names", "rename one in the recipe")
            )
        place = materialize(source.uri, out.scratch / f"source-{index}")
        kept, refused = read_source(source, place, out.path, slice.seed)
        metrics |= {f"num_rows.{source.name}": len(kept), f"num_quarantined.{source.name}": len(refused)}
        rows[source.name] = kept
        bad += refused
        log.info("%s: %d rows, %d quarantined", source.name, len(kept), len(refused))
    counts = Counter(row.id for kept in rows.values() for row in kept)
    if twice := [row_id for row_id, count in counts.items() if count > 1]:
        raise DataError(
            Fault(
                "sources", f"id {twice[0]!r} in two sources", "distinct ids", "rename a source in the recipe"
            )
        )
    for name, sources in (("prompts.jsonl", slice.sources), ("dev.jsonl", slice.dev)):
        if sources:
            write_jsonl(out.path / name, [row for source in sources for row in rows[source.name]])
    write_jsonl(out.path / "quarantine.jsonl", bad)
    return out.publish("prompts", {"num_rows": counts.total(), "num_quarantined": len(bad), **metrics})


def read_source(
    source: Source, place: Path, out: Path, seed: int
) -> tuple[list[PromptRow], list[Quarantined]]:
    """Reads one source; of more than `num_rows` questions that many are drawn by seed, in file order.

    Only drawn questions have their pictures decoded; one with a bad picture is replaced by another draw.

    Args:
        source: Name, format and number of rows.
        place: Folder with the official files, or one such file.
        out: Receives images/SHA256.png.
        seed: Of the draw.

    Raises:
        DataError: No row file, no usable row, more unusable rows than usable ones, or one of a benchmark.
    """
    bad: list[Quarantined] = []
    drafts = list(_drafts(source, place, bad))
    order = list(range(len(drafts)))
    if source.num_rows is not None:
        random.Random(f"{seed} {source.name}").shuffle(order)
    kept: dict[int, PromptRow] = {}
    for i in order:
        if len(kept) == source.num_rows:
            break
        record, draft = drafts[i]
        try:
            kept[i] = _prompt_row(source.name, draft, out)
        except BadRowError as error:
            bad.append(_quarantined(source, record, error))
    max_bad = 0.0 if source.format in _BENCHMARKS else MAX_BAD_FRACTION
    if len(bad) > max_bad * (len(kept) + len(bad)) or not kept:
        shown = "; ".join(str(one) for one in bad[:_MAX_SHOWN]) or "empty files"
        found = f"{len(bad)} of {len(kept) + len(bad)} rows are unusable: {shown}"
        advice = f"check `uri` and `format: {source.format}` of the source in the recipe"
        if source.format in _BENCHMARKS and kept:
            advice += ", or mend these rows: fewer questions would give another accuracy"
        allowed = f"at least one row, and at most {max_bad:.0%} unusable"
        raise DataError(Fault(f"source {source.name}", found, allowed, advice))
    if bad:
        log.warning("%s: %d rows put aside in quarantine.jsonl, first %s", source.name, len(bad), bad[0])
    if source.num_rows is not None and len(kept) < source.num_rows:
        log.warning("%s: num_rows is %d but only %d rows are usable", source.name, source.num_rows, len(kept))
    return [kept[i] for i in sorted(kept)], sorted(bad, key=lambda one: (one.file, one.line))


def _drafts(source: Source, place: Path, bad: list[Quarantined]) -> Iterator[tuple[Record, Draft]]:
    loader = _loader(source)
    folder, patterns = (place, loader.FILES) if place.is_dir() else (place.parent, (place.name,))
    seen: set[str] = set()
    for record in read_records(folder, patterns):
        if isinstance(record, Quarantined):
            bad.append(record.model_copy(update={"file": f"{source.name}/{record.file}"}))
            continue
        try:
            drafts: list[Draft] = loader.parse(record)
            if taken := [draft.id for draft in drafts if draft.id in seen]:
                raise BadRowError(f"id {taken[0]!r:.60} was used by an earlier row")
        except BadRowError as error:
            bad.append(_quarantined(source, record, error))
            continue
        seen.update(draft.id for draft in drafts)
        yield from ((record, draft) for draft in drafts)


def _loader(source: Source) -> ModuleType:
    match source.format:
        case "llava_onevision":
            return llava_onevision
        case "questions":
            return questions
        case "mathverse":
            return mathverse
        case "mathvision":
            return mathvision
        case "olympiadbench":
            return olympiadbench
        case "mmmu":
            return mmmu


def _prompt_row(source: str, draft: Draft, out: Path) -> PromptRow:
    if not is_utf8(draft):
        raise BadRowError("a text holds a lone surrogate, which UTF-8 cannot carry")
    return PromptRow(
        id=f"{source}-{draft.id}",
        source=source,
        question=draft.question,
        images=tuple(write_png(picture, out) for picture in [decode(picture) for picture in draft.pictures]),
        gold=draft.gold,
        modality=draft.modality,
        num_steps=draft.num_steps,
        meta=draft.meta,
    )


def _quarantined(source: Source, record: Record, error: BadRowError) -> Quarantined:
    file = record.file.relative_to(record.root).as_posix()
    return Quarantined(file=f"{source.name}/{file}", line=record.line, reason=str(error))

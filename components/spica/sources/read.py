"""Reads one source: draws by seed, decodes what was drawn, puts aside what cannot be used."""

import logging
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import get_args

from spica.artifacts.responses import Response
from spica.artifacts.types import GOLD_UNPARSED, PromptRow, Quarantined
from spica.errors import DataError, Fault
from spica.recipe.schema import Benchmark, Source
from spica.sources import (
    llava_onevision,
    long_form_thought,
    mathverse,
    mathvision,
    mmmu,
    olympiadbench,
    questions,
    sharegpt,
)
from spica.sources.counts import check_counts
from spica.sources.draft import BadRowError, Draft, Record, is_utf8
from spica.sources.known import license_of, origin_of
from spica.sources.pictures import decode, write_png
from spica.sources.records import read_records

log = logging.getLogger("spica.sources")

MAX_BAD_FRACTION = 0.5
"""Above this share of unusable rows the format or the folder is wrong; below, bad rows are put aside.

Of a benchmark no row may be bad: an accuracy over fewer questions is another figure.
"""
_BENCHMARKS = get_args(Benchmark)
_MAX_SHOWN = 10


@dataclass
class Reading:
    """What one source holds.

    Attributes:
        rows: The usable questions, in file order.
        refused: Rows put aside, each with its reason.
        responses: Those that came with the questions.
        unparsed: Rows that are kept although their official answer could not be typed.
    """

    rows: list[PromptRow] = field(default_factory=list)
    refused: list[Quarantined] = field(default_factory=list)
    responses: list[Response] = field(default_factory=list)
    unparsed: list[Quarantined] = field(default_factory=list)


def read_source(source: Source, place: Path, out: Path, seed: int) -> Reading:
    """Reads one source; of more than `num_rows` questions that many are drawn by seed, in file order.

    The files are gone through twice, row by row: once for what there is, once for what was drawn. So memory
    holds one picture at a time. Only drawn questions have their pictures decoded; one with a bad picture is
    replaced by another draw.

    Args:
        source: Name, format and number of rows.
        place: Folder with the official files, or one such file.
        out: Receives images/SHA256.png.
        seed: Of the draw.

    Raises:
        DataError: No row file, no usable row, more unusable rows than usable ones, or one of a benchmark;
            a whole benchmark with other numbers of rows than published.
    """
    reading = Reading()
    drafts = [_light(draft) for _, draft in _drafts(source, place, reading.refused)]
    check_counts(source, drafts, reading.refused)
    num_drafts = len(drafts)
    order = list(range(num_drafts))
    if source.num_rows is not None:
        random.Random(f"{seed} {source.name}").shuffle(order)
    num_wanted = num_drafts if source.num_rows is None else source.num_rows
    num_read = num_drafts + len(reading.refused)
    kept: dict[int, PromptRow] = {}
    num_drawn = 0
    while len(kept) < num_wanted and num_drawn < num_drafts:
        drawn = set(order[num_drawn : num_drawn + num_wanted - len(kept)])
        num_drawn += len(drawn)
        for i, (record, draft) in enumerate(_drafts(source, place, [])):
            if i in drawn:
                _take(source, record, draft, out, reading, kept, i)
    reading.rows = [kept[i] for i in sorted(kept)]
    reading.refused.sort(key=lambda one: (one.file, one.line))
    _check(source, reading, num_read)
    return reading


def _light(draft: Draft) -> Draft:
    """Without what weighs: pictures and ready-made responses."""
    return replace(draft, pictures=(), response=None)


def _take(
    source: Source,
    record: Record,
    draft: Draft,
    out: Path,
    reading: Reading,
    kept: dict[int, PromptRow],
    place: int,
) -> None:
    """Makes a row of a draft, or puts it aside."""
    try:
        row = _prompt_row(source, draft, out)
    except BadRowError as error:
        reading.refused.append(_put_aside(source, record, str(error)))
        return
    kept[place] = row
    if draft.response is not None:
        teacher = draft.teacher or source.teacher or source.name
        reading.responses.append(Response(id=row.id, teacher=teacher, response=draft.response))
    if reason := row.meta.get(GOLD_UNPARSED):
        reading.unparsed.append(_put_aside(source, record, f"{row.id}: {reason}"))


def _check(source: Source, reading: Reading, num_read: int) -> None:
    bad, num_kept = reading.refused, len(reading.rows)
    max_bad = 0.0 if source.format in _BENCHMARKS else MAX_BAD_FRACTION
    if len(bad) > max_bad * num_read or not num_kept:
        shown = "; ".join(str(one) for one in bad[:_MAX_SHOWN]) or "empty files"
        found = f"{len(bad)} of {num_read} rows are unusable: {shown}"
        advice = f"check `uri` and `format: {source.format}` of the source in the recipe"
        if source.format in _BENCHMARKS and num_kept:
            advice += ", or mend these rows: fewer questions would give another accuracy"
        allowed = f"at least one row, and at most {max_bad:.0%} unusable"
        raise DataError(Fault(f"source {source.name}", found, allowed, advice))
    if bad:
        log.warning("%s: %d rows put aside in quarantine.jsonl, first %s", source.name, len(bad), bad[0])
    if reading.unparsed:
        log.warning(
            "%s: %d official answers could not be read, see gold_unparsed.jsonl, first %s",
            source.name,
            len(reading.unparsed),
            reading.unparsed[0],
        )
    if source.num_rows is not None and num_kept < source.num_rows:
        log.warning("%s: num_rows is %d but only %d rows are usable", source.name, source.num_rows, num_kept)


def _drafts(source: Source, place: Path, bad: list[Quarantined]) -> Iterator[tuple[Record, Draft]]:
    loader = _loader(source)
    seen: set[str] = set()
    for record in read_records(place, loader.FILES):
        if isinstance(record, Quarantined):
            bad.append(record.model_copy(update={"file": f"{source.name}/{record.file}"}))
            continue
        try:
            drafts: list[Draft] = loader.parse(record)
            if taken := [draft.id for draft in drafts if draft.id in seen]:
                raise BadRowError(f"id {taken[0]!r:.60} was used by an earlier row")
        except BadRowError as error:
            bad.append(_put_aside(source, record, str(error)))
            continue
        seen.update(draft.id for draft in drafts)
        yield from ((record, draft) for draft in drafts)


def _loader(source: Source) -> ModuleType:
    match source.format:
        case "llava_onevision":
            return llava_onevision
        case "questions":
            return questions
        case "sharegpt":
            return sharegpt
        case "long_form_thought":
            return long_form_thought
        case "mathverse":
            return mathverse
        case "mathvision":
            return mathvision
        case "olympiadbench":
            return olympiadbench
        case "mmmu":
            return mmmu


def _prompt_row(source: Source, draft: Draft, out: Path) -> PromptRow:
    if not is_utf8(draft):
        raise BadRowError("a text holds a lone surrogate, which UTF-8 cannot carry")
    return PromptRow(
        id=f"{source.name}-{draft.id}",
        source=source.name,
        question=draft.question,
        images=tuple(write_png(picture, out) for picture in [decode(picture) for picture in draft.pictures]),
        gold=draft.gold,
        modality=draft.modality,
        num_steps=draft.num_steps,
        origin=origin_of(source, draft.origin),
        license=license_of(source, draft.origin),
        meta=draft.meta,
    )


def _put_aside(source: Source, record: Record, reason: str) -> Quarantined:
    file = record.file.relative_to(record.root).as_posix()
    return Quarantined(file=f"{source.name}/{file}", line=record.line, reason=reason)

"""The stage `sources`: official rows to Prompts, pictures to PNG, bad rows to quarantine.jsonl."""

import logging
from collections import Counter
from collections.abc import Mapping

from spica.artifacts.manifest import Artifact, Manifest
from spica.artifacts.resolve import materialize
from spica.artifacts.responses import NAME as RESPONSES
from spica.artifacts.rows import write_jsonl
from spica.artifacts.workspace import Workspace
from spica.errors import DataError, Fault
from spica.launch.contract import Launcher
from spica.recipe.slices import SourcesSlice
from spica.sources.read import Reading, read_source

log = logging.getLogger("spica.sources")


def run(slice: SourcesSlice, inputs: Mapping[str, Artifact], out: Workspace, launcher: Launcher) -> Manifest:
    """Reads every source of the slice into prompts.jsonl, images/ and quarantine.jsonl.

    Rows of a dev split go to dev.jsonl instead; where the slice has none, there is no such file. Responses
    that come with the questions go to responses.jsonl, rows whose official answer cannot be read are listed
    in gold_unparsed.jsonl; both files are there only where there is something to say.
    Metrics: num_rows and num_quarantined, in all and per source (num_rows.NAME); num_gold_unparsed.NAME.

    Raises:
        RecipeError, PrerequisiteError: A URI that cannot be read.
        DataError: A source with no or mostly unusable rows, a benchmark with one, or two sources of one name.
    """
    read: dict[str, Reading] = {}
    for index, source in enumerate([*slice.sources, *slice.dev]):
        if source.name in read:
            raise DataError(
                Fault("sources", f"two named {source.name!r}", "distinct names", "rename one in the recipe")
            )
        place = materialize(source.uri, out.scratch / f"source-{index}")
        reading = read[source.name] = read_source(source, place, out.path, slice.seed)
        log.info("%s: %d rows, %d quarantined", source.name, len(reading.rows), len(reading.refused))
    _check_ids(read)
    for name, sources in (("prompts.jsonl", slice.sources), ("dev.jsonl", slice.dev)):
        if sources:
            write_jsonl(out.path / name, [row for source in sources for row in read[source.name].rows])
    write_jsonl(out.path / "quarantine.jsonl", [one for reading in read.values() for one in reading.refused])
    if responses := [one for reading in read.values() for one in reading.responses]:
        write_jsonl(out.path / RESPONSES, responses)
    if unparsed := [one for reading in read.values() for one in reading.unparsed]:
        write_jsonl(out.path / "gold_unparsed.jsonl", unparsed)
    return out.publish("prompts", _metrics(read))


def _check_ids(read: Mapping[str, Reading]) -> None:
    counts = Counter(row.id for reading in read.values() for row in reading.rows)
    if twice := [row_id for row_id, count in counts.items() if count > 1]:
        raise DataError(
            Fault(
                "sources", f"id {twice[0]!r} in two sources", "distinct ids", "rename a source in the recipe"
            )
        )


def _metrics(read: Mapping[str, Reading]) -> dict[str, float | int | str]:
    metrics: dict[str, float | int | str] = {
        "num_rows": sum(len(reading.rows) for reading in read.values()),
        "num_quarantined": sum(len(reading.refused) for reading in read.values()),
    }
    for name, reading in read.items():
        metrics |= {f"num_rows.{name}": len(reading.rows), f"num_quarantined.{name}": len(reading.refused)}
        if reading.unparsed:
            metrics[f"num_gold_unparsed.{name}"] = len(reading.unparsed)
    return metrics

"""Reading the files that official data comes in: JSON arrays, JSON Lines, parquet and TSV."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from spica.artifacts.types import Quarantined
from spica.errors import DataError, Fault, PrerequisiteError
from spica.sources.draft import Record
from spica.sources.tsv import tsv_rows


def find_files(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """The files of the first pattern that any file below `folder` has, sorted by path.

    Raises:
        DataError: No pattern has a file.
    """
    for pattern in patterns:
        found = sorted(path for path in folder.rglob(pattern) if path.is_file() and not _hidden(path, folder))
        if found:
            return found
    raise DataError(
        Fault(
            str(folder),
            "no file with rows",
            f"a file named {' or '.join(patterns)}",
            "check the source's `uri` and `format` in the recipe",
        )
    )


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def read_records(place: Path, patterns: Sequence[str]) -> Iterator[Record | Quarantined]:
    """Every row of every file, in a fixed order; what is no object comes out as quarantined.

    Args:
        place: A folder, or the one file with rows; pictures lie beside it.
        patterns: Of files below a folder; the first that any file has.

    Raises:
        DataError: No file with rows, or one that is no such file.
    """
    folder, files = (place, find_files(place, patterns)) if place.is_dir() else (place.parent, [place])
    for file in files:
        name = file.relative_to(folder).as_posix()
        for line, row in _rows(file):
            if isinstance(row, Mapping):
                yield Record(file, line, row, folder, len(files) == 1)
            else:
                reason = (
                    row if isinstance(row, str) else f"a JSON object is needed, found {type(row).__name__}"
                )
                yield Quarantined(file=name, line=line, reason=reason)


def _rows(file: Path) -> Iterator[tuple[int, Any]]:
    """(Line, row) pairs; a malformed line comes out as the text that says why."""
    if file.suffix == ".parquet":
        yield from enumerate(_parquet_rows(file), start=1)
    elif file.suffix == ".jsonl":
        with file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, _parse_line(line)
    elif file.suffix == ".tsv":
        yield from tsv_rows(file)
    else:
        yield from enumerate(_array(file), start=1)


def _parse_line(line: bytes) -> Any:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        return f"malformed or torn JSON: {error}"
    return value if isinstance(value, Mapping) else f"a JSON object is needed, found {type(value).__name__}"


def _array(file: Path) -> list[Any]:
    try:
        value = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise DataError(Fault(str(file), str(error), "one JSON array", "fetch the file again")) from error
    if not isinstance(value, list):
        raise DataError(Fault(str(file), type(value).__name__, "one JSON array", "check the source's `uri`"))
    return [
        f"a JSON object is needed, found {item!r:.40}" if isinstance(item, str) else item for item in value
    ]


def _parquet_rows(file: Path) -> Iterator[Mapping[str, Any]]:
    """Rows of a parquet file, in batches so that embedded pictures do not fill the memory."""
    try:
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise PrerequisiteError(
            Fault(
                str(file),
                "pyarrow is not installed",
                "pyarrow, which reads parquet files",
                "pip install pyarrow, or give the rows as JSON Lines with pictures beside them",
            )
        ) from error
    try:
        for batch in parquet.ParquetFile(file, pre_buffer=False).iter_batches(batch_size=64):
            yield from batch.to_pylist()
    except (OSError, ValueError) as error:
        raise DataError(
            Fault(str(file), str(error), "a readable parquet file", "fetch the file again")
        ) from error

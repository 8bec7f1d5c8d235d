"""VLMEvalKit's benchmark files: tab-separated, one row per question, pictures as base64 in `image`."""

import csv
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from spica.errors import DataError, Fault

_MAX_REFERENCE = 64
"""A shorter `image` names the row whose picture it shares (vlmeval/dataset/image_base.py)."""
_BASE64 = re.compile(r"[A-Za-z0-9+/]+=*")


def tsv_rows(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """(Place, row) pairs, one at a time; empty cells are left out, shared pictures filled in.

    The file is read up to three times, so that no more pictures are held than rows refer to.

    Raises:
        DataError: The file is no such table.
    """
    csv.field_size_limit(2**31 - 1)
    shared = {row["image"] for _, row in _read(file) if 0 < len(row.get("image", "")) <= _MAX_REFERENCE}
    again = _read(file) if shared else ()
    pictures = {row["index"]: row.get("image", "") for _, row in again if row.get("index") in shared}
    for place, row in _read(file):
        if row.get("image") in shared:
            row["image"] = pictures.get(row["image"], row["image"])
        yield place, row


def tsv_pictures(image: str | None) -> list[Mapping[str, str]]:
    """The pictures of a cell, base64 or the repr of a list of such, as pictures.embedded reads them."""
    return [{"bytes": data} for data in _BASE64.findall(image or "")]


def _read(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            table = csv.DictReader(lines, delimiter="\t", restkey="", restval="")
            for place, row in enumerate(table, start=1):
                yield place, {name: cell for name, cell in row.items() if name and cell}
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(
            Fault(str(file), str(error), "a table with tabs between columns", "fetch the file again")
        ) from error

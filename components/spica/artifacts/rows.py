"""Row files: one JSON object per line, typed on the way in, put aside with file:line:reason otherwise."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from spica.artifacts.disk import atomic_file
from spica.artifacts.types import Quarantined
from spica.errors import DataError, Fault

MAX_FAULTS_SHOWN = 5

RowT = TypeVar("RowT", bound=BaseModel)


def encode_row(row: BaseModel) -> bytes:
    """One line of a row file, newline included."""
    return row.model_dump_json().encode() + b"\n"


def parse_lines(path: Path, row_type: type[RowT], bad: list[Quarantined]) -> Iterator[RowT]:
    """Yield the rows of a file in order; lines that are none go to `bad`, blank ones are skipped."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = row_type.model_validate_json(line)
            except ValidationError as error:
                reason = (
                    _reason(error)
                    if line.endswith(b"\n")
                    else "torn: the file ends in the middle of this line"
                )
                bad.append(Quarantined(file=path.name, line=number, reason=reason))
            else:
                yield row


def read_jsonl(
    path: Path,
    row_type: type[RowT],
    quarantine: list[Quarantined] | None = None,
    max_bad_fraction: float = 1.0,
) -> list[RowT]:
    """Read a row file.

    Args:
        path: the file.
        row_type: what each line must be.
        quarantine: receives the lines that are no such row; when None, every line must be one.
        max_bad_fraction: share of bad lines above which reading fails even with a quarantine.

    Raises:
        DataError: the file is missing, or too many lines are no rows; names the first of them.
    """
    if not path.is_file():
        raise DataError(Fault(str(path), "no such file", "a row file (JSONL)", f"look into {path.parent}"))
    bad: list[Quarantined] = []
    rows = list(parse_lines(path, row_type, bad))
    allowed = 0.0 if quarantine is None else max_bad_fraction
    if bad and len(bad) > allowed * (len(bad) + len(rows)):
        raise DataError(
            Fault(
                str(path),
                f"{len(bad)} of {len(bad) + len(rows)} lines are no {row_type.__name__}: "
                + "; ".join(str(one) for one in bad[:MAX_FAULTS_SHOWN]),
                f"at most {allowed:.2%} of them",
                "mend these lines, or the program that wrote them",
            )
        )
    if quarantine is not None:
        quarantine.extend(bad)
    return rows


def write_jsonl(path: Path, rows: Iterable[BaseModel]) -> int:
    """Write a row file, whole or not at all; return the number of rows.

    Raises:
        PrerequisiteError: the disk is full or not writable.
    """
    num_rows = 0
    with atomic_file(path) as file:
        for row in rows:
            file.write(encode_row(row))
            num_rows += 1
    return num_rows


def _reason(error: ValidationError) -> str:
    faults = error.errors(include_url=False, include_input=False)
    shown = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}".removeprefix(": ") for fault in faults]
    return "; ".join(shown[:MAX_FAULTS_SHOWN])

"""Reads what `spica score` scores: rows, and predictions that are joined to them by id, never by position."""

import ast
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from spica.answers.types import ScoreRow
from spica.errors import DataError, Fault

_ROW = '{"id": .., "response": .., "gold": ..} and question, options, answer_type, error, unit, language'
_PREDICTION = '{"id": .., "response": ..}'

Record = dict[str, Any]


def read_rows(path: Path, predictions: Path | None = None) -> list[ScoreRow]:
    """The rows of a file, their responses taken from `predictions` where that is given.

    Raises:
        DataError: every fault at once: lines that are no rows, ids that are double, unknown or missing.
    """
    faults: list[Fault] = []
    records = _by_id(path, _ROW, faults)
    if predictions is not None:
        _join(records, path, _by_id(predictions, _PREDICTION, faults), predictions, faults)
    rows = []
    for line, record in records.values():
        try:
            rows.append(ScoreRow.model_validate(record))
        except ValidationError as error:
            faults += [
                Fault(
                    f"{path}:{line}",
                    f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}",
                    _ROW,
                    "mend this line",
                )
                for fault in error.errors(include_url=False, include_input=False)
            ]
    if faults:
        raise DataError(*faults)
    return rows


def _by_id(path: Path, form: str, faults: list[Fault]) -> dict[str, tuple[int, Record]]:
    found: dict[str, tuple[int, Record]] = {}
    for line, record in _records(path, form, faults):
        name = record.get("id")
        if not isinstance(name, str) or not name:
            faults.append(Fault(f"{path}:{line}", "no id", form, "give each row an id"))
        elif name in found:
            faults.append(
                Fault(
                    f"{path}:{line}",
                    f"id {name!r} again, first on line {found[name][0]}",
                    "each id once",
                    "drop one",
                )
            )
        else:
            found[name] = (line, record)
    return found


def _records(path: Path, form: str, faults: list[Fault]) -> Iterator[tuple[int, Record]]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise DataError(
            Fault(str(path), error.strerror or str(error), "a JSONL file", f"look into {path.parent}")
        ) from None
    with file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                faults.append(Fault(f"{path}:{number}", f"no JSON: {error}", form, "mend this line"))
                continue
            if isinstance(record, dict):
                yield number, _plain(record)
            else:
                faults.append(
                    Fault(f"{path}:{number}", f"a {type(record).__name__}", form, "write an object per line")
                )


def _join(
    records: Mapping[str, tuple[int, Record]],
    path: Path,
    given: Mapping[str, tuple[int, Record]],
    predictions: Path,
    faults: list[Fault],
) -> None:
    """Put each prediction's response into the row of its id."""
    for name, (line, prediction) in given.items():
        if name not in records:
            faults.append(
                Fault(f"{predictions}:{line}", f"id {name!r} is unknown", f"ids of {path}", "drop this line")
            )
        elif not isinstance(prediction.get("response"), str):
            faults.append(Fault(f"{predictions}:{line}", "response: no text", _PREDICTION, "mend this line"))
            records[name][1].setdefault("response", "")
        else:
            records[name][1]["response"] = prediction["response"]
    for name, (line, record) in records.items():
        if name not in given:
            faults.append(
                Fault(
                    f"{path}:{line}",
                    f"id {name!r} has no prediction",
                    f"each id once in {predictions}",
                    'add it; an empty "response" counts as wrong',
                )
            )
            record.setdefault("response", "")


def _plain(record: Record) -> Record:
    """The row with empty values left out and numbers as text, as benchmark files mix them."""
    found = {key: value for key, value in record.items() if value is not None}
    for key in ("id", "gold", "error"):
        found[key] = _as_text(found[key]) if key in found else found.get(key)
    if isinstance(found["gold"], list):
        found["gold"] = [_as_text(one) for one in found["gold"]]
    if "options" in found:
        found["options"] = _options(found["options"])
    return {key: value for key, value in found.items() if value is not None}


def _as_text(value: object) -> object:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _options(value: object) -> object:
    """Options as a list: some files hold the text of one."""
    if isinstance(value, str):
        if not value.strip():
            return []
        try:
            value = ast.literal_eval(value) if len(value) < 100_000 else value
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return value
    return [_as_text(one) for one in value] if isinstance(value, list | tuple) else value

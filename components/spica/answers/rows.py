"""Reads what `spica score` scores: rows, and predictions that are joined to them by id, never by position."""

import ast
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from spica.answers.types import ScoreRow
from spica.errors import DataError, Fault

_ROW = '{"id": .., "response": .., "gold": ..} and question, options, answer_type, error, unit, language'
_PREDICTION = '{"id": .., "response": ..}'

Record = dict[str, Any]


def read_rows(path: Path, predictions: Path | None = None) -> list[ScoreRow]:
    """The rows of a file, their responses taken from `predictions` where that is given.

    An object with an id is a row, whatever else it holds: a response that is no text is empty, a gold answer
    that is none is `()`, and keys that no row has are ignored.

    Raises:
        DataError: every fault at once: lines that are no rows, ids that are double, unknown or missing.
    """
    faults: list[Fault] = []
    records = _by_id(path, _ROW, faults)
    if predictions is not None:
        _join(records, path, _by_id(predictions, _PREDICTION, faults), predictions, faults)
    if faults:
        raise DataError(*faults)
    return [ScoreRow(**record) for _, record in records.values()]


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
        else:
            records[name][1]["response"] = prediction["response"]
    for name, (line, _) in records.items():
        if name not in given:
            faults.append(
                Fault(
                    f"{path}:{line}",
                    f"id {name!r} has no prediction",
                    f"each id once in {predictions}",
                    'add it; an empty "response" counts as wrong',
                )
            )


def _plain(record: Record) -> Record:
    """What a row may hold, each key of its type: numbers become text, and what is neither has no value."""
    found: Record = {"id": _as_text(record.get("id"))}
    found["response"] = _as_text(record.get("response")) or ""
    gold = record.get("gold")
    found["gold"] = _texts(gold) if isinstance(gold, list) else _as_text(gold)
    if found["gold"] is None:
        found["gold"] = ()
    found["options"] = _options(record.get("options"))
    for key in ("question", "answer_type", "error", "unit", "language"):
        found[key] = _as_text(record.get(key)) or ""
    return found


def _as_text(value: object) -> str | None:
    """A text that UTF-8 can hold; None for what is neither text nor number."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        return None
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _texts(values: Sequence[object]) -> tuple[str, ...]:
    """All of them as text, or none."""
    texts = [_as_text(value) for value in values]
    return tuple(text for text in texts if text is not None) if None not in texts else ()


def _options(value: object) -> tuple[str, ...]:
    """Options as texts: some files hold the text of a list."""
    if isinstance(value, str) and len(value) < 100_000:
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return ()
    return _texts(value) if isinstance(value, list | tuple) else ()

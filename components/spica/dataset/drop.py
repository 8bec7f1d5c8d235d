"""Rebuilds a stored set without the rows of a teacher, a licence or a source; nobody is asked anew."""

import shutil
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from spica.artifacts.types import ChatRow
from spica.dataset.card import CHARACTERS, contents
from spica.dataset.write import write_set
from spica.errors import DataError, Fault, RecipeError

By = Literal["teacher", "license", "source"]
Dropped = Mapping[By, Collection[str]]
"""What goes, by key of the rows."""
NONE = "none"
"""Names the rows without a licence, as the card does."""

ContentT = TypeVar("ContentT")
_ROWS = TypeAdapter(list[ChatRow])
_BESIDE = ("quarantine.jsonl", "contamination.json")
_ADVICE = "give the folder of a whole artifact (`spica runs` says where a run's artifacts lie)"


class _Length(BaseModel):
    unit: str


class _Card(BaseModel):
    """What a rebuilt set takes over from the card of the old one."""

    response: str
    response_length: _Length
    refused: dict[str, Any]
    dropped: dict[str, int] = {}


def drop_from_chat(folder: Path, dropped: Dropped, out: Path) -> dict[str, int]:
    """Writes a chat set without the named rows, with a card of its own.

    Args:
        folder: A chat artifact's folder.
        dropped: What goes.
        out: Where the rest goes; made if need be.

    Returns:
        Number of rows that went, by name, such as {"teacher qvq": 12}; a row can count under several.

    Raises:
        DataError: No such set, a picture that is missing or lies outside of it, or nothing would be left to
            train on.
        RecipeError: A name that no row has; says which there are.
    """
    train, val = (_read(folder / f"{split}.json") for split in ("train", "val"))
    went = count_dropped([_provenance(row) for row in (*train, *val)], dropped)
    kept_train, kept_val = (
        [row for row in rows if not matches(_provenance(row), dropped)] for rows in (train, val)
    )
    if not kept_train:
        raise DataError(
            Fault(str(folder), f"all {len(train)} training rows", "some that are left", "drop less")
        )
    old = _read_card(folder / "card.json")
    unit = old.response_length.unit
    rows = [*kept_train, *kept_val]
    card = contents(rows, len(kept_val), old.response, "tokens" if unit == CHARACTERS else unit)
    card |= {"refused": old.refused, "dropped": dict(Counter(old.dropped) + Counter(went))}
    check_pictures(folder, {image for row in rows for image in row.images})
    out.mkdir(parents=True, exist_ok=True)
    write_set(out, folder, kept_train, kept_val, card)
    for name in _BESIDE:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, out / name)
    return went


def check_pictures(folder: Path, names: Collection[str]) -> None:
    """Looks for the pictures before anything is written.

    Raises:
        DataError: One is missing; names the first.
    """
    if missing := sorted(name for name in names if not (folder / name).is_file()):
        found = f"{len(missing)} missing, the first: {missing[0]}"
        raise DataError(Fault(str(folder), found, "every picture that the rows name", _ADVICE))


def count_dropped(
    rows: Sequence[Mapping[By, str]], dropped: Dropped, others: Sequence[Mapping[By, str]] = ()
) -> dict[str, int]:
    """Rows of each name that is dropped.

    Args:
        rows: What is counted.
        dropped: What goes.
        others: Where else a name may stand, such as rollouts that were not kept.

    Raises:
        RecipeError: A name that no row has; says which there are.
    """
    went = {}
    for key, names in dropped.items():
        known = Counter(row[key] for row in rows)
        names_there = known.keys() | {row[key] for row in others}
        for name in names:
            if name not in names_there:
                allowed = ", ".join(sorted(names_there))
                raise RecipeError(Fault(f"--{key}", repr(name), allowed, "name one of those that are there"))
            went[f"{key} {name}"] = known[name]
    return went


def matches(row: Mapping[By, str], dropped: Dropped) -> bool:
    """Whether a row goes."""
    return any(row[key] in names for key, names in dropped.items())


def _provenance(row: ChatRow) -> dict[By, str]:
    extra: dict[str, Any] = row.model_extra or {}
    keys: tuple[By, ...] = ("teacher", "license", "source")
    return {key: str(extra.get(key) or NONE) for key in keys}


def _read(path: Path) -> list[ChatRow]:
    return _parsed(path, _ROWS, "an array of chat rows")


def _read_card(path: Path) -> _Card:
    return _parsed(path, TypeAdapter(_Card), "the card of the set")


def _parsed(path: Path, shape: TypeAdapter[ContentT], allowed: str) -> ContentT:
    try:
        return shape.validate_json(path.read_bytes())
    except OSError as error:
        raise DataError(Fault(str(path), str(error), allowed, _ADVICE)) from error
    except ValidationError as error:
        raise DataError(Fault(str(path), _first(error), allowed, _ADVICE)) from error


def _first(error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"

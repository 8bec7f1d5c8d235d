"""Rebuilds a stored set without the rows of a teacher, a licence or a source; nobody is asked anew."""

import json
import shutil
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from spica.artifacts.types import ChatRow
from spica.dataset.card import contents
from spica.dataset.write import write_set
from spica.errors import DataError, Fault, RecipeError

By = Literal["teacher", "license", "source"]
Dropped = Mapping[By, Collection[str]]
"""What goes, by key of the rows."""
NONE = "none"
"""Names the rows without a licence, as the card does."""

_ROWS = TypeAdapter(list[ChatRow])
_BESIDE = ("quarantine.jsonl", "contamination.json")


def drop_from_chat(folder: Path, dropped: Dropped, out: Path) -> dict[str, int]:
    """Writes a chat set without the named rows, with a card of its own.

    Args:
        folder: A chat artifact's folder.
        dropped: What goes.
        out: Where the rest goes; made if need be.

    Returns:
        Number of rows that went, by name, such as {"teacher qvq": 12}; a row can count under several.

    Raises:
        DataError: No such set, or nothing would be left to train on.
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
    old = json.loads((folder / "card.json").read_bytes())
    rows = [*kept_train, *kept_val]
    card = contents(rows, len(kept_val), old["response"], old["response_length"]["unit"])
    earlier = old.get("dropped", {})
    card |= {"refused": old["refused"], "dropped": dict(Counter(earlier) + Counter(went))}
    out.mkdir(parents=True, exist_ok=True)
    write_set(out, folder, kept_train, kept_val, card)
    for name in _BESIDE:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, out / name)
    return went


def count_dropped(rows: Sequence[Mapping[By, str]], dropped: Dropped) -> dict[str, int]:
    """Rows of each name that is dropped.

    Raises:
        RecipeError: A name that no row has; says which there are.
    """
    went = {}
    for key, names in dropped.items():
        known = Counter(row[key] for row in rows)
        for name in names:
            if name not in known:
                raise RecipeError(
                    Fault(
                        f"--{key}", repr(name), ", ".join(sorted(known)), "name one of those that are there"
                    )
                )
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
    try:
        return _ROWS.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        advice = "give the folder of a chat artifact (`spica runs` says where a run's artifacts lie)"
        raise DataError(
            Fault(str(path), str(error).splitlines()[0], "an array of chat rows", advice)
        ) from error

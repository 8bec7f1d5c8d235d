"""Writes a data set: the files of a chat artifact."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spica.artifacts.types import ChatRow


def write_set(
    folder: Path, images: Path, train: Sequence[ChatRow], val: Sequence[ChatRow], card: Mapping[str, Any]
) -> None:
    """train.json, val.json, dataset_info.json, card.json and the pictures of both files.

    Args:
        folder: Where the set goes.
        images: Folder to which the rows' picture paths are relative.
        train: Training rows.
        val: Rows held out.
        card: What the set holds.
    """
    _write_rows(folder / "train.json", train)
    _write_rows(folder / "val.json", val)
    write_json(folder / "dataset_info.json", {split: _info(f"{split}.json") for split in ("train", "val")})
    write_json(folder / "card.json", card)
    for name in sorted({image for row in (*train, *val) for image in row.images}):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(images / name, folder / name)


def _info(file_name: str) -> dict[str, Any]:
    """LLaMA-Factory's description of one file (protocol A4; data/README.md there)."""
    tags = {f"{role}_tag": role for role in ("role", "content", "user", "assistant", "system")}
    columns = {"messages": "messages", "images": "images"}
    return {"file_name": file_name, "formatting": "sharegpt", "columns": columns, "tags": tags}


def _write_rows(path: Path, rows: Sequence[ChatRow]) -> None:
    """A JSON array with one row per line."""
    path.write_text("[\n" + ",\n".join(row.model_dump_json() for row in rows) + "\n]\n", encoding="utf-8")


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """One object, for people to read."""
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

"""The stage: kept rollouts in, training rows in the paper's file schema out.

train.json, val.json   arrays of ChatRow      dataset_info.json   LLaMA-Factory's description of both
images/                the pictures of both   card.json           what is in it and what is not
quarantine.jsonl       rows put aside, file:line: reason
"""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spica.artifacts.manifest import Artifact, Manifest
from spica.artifacts.rows import MAX_FAULTS_SHOWN, read_jsonl, write_jsonl
from spica.artifacts.types import ChatRow, PromptRow
from spica.artifacts.workspace import Workspace
from spica.dataset.card import card
from spica.dataset.clean import Cleaned, bad_fraction, clean
from spica.dataset.rows import chat_row
from spica.errors import DataError, Fault
from spica.launch.contract import Launcher
from spica.recipe.slices import DatasetSlice


def run(slice: DatasetSlice, inputs: Mapping[str, Artifact], out: Workspace, launcher: Launcher) -> Manifest:
    """Cleans, splits and writes the rows; the split depends on seed and ids alone.

    Args:
        slice: Prompt, limits, and whether to train on thoughts or on bare answers.
        inputs: `prompts`, `rollouts`, and `held-out`, against which rows are checked.
        out: Where the data set goes.
        launcher: Not used.

    Raises:
        DataError: More rows are broken than may be, or fewer are left than val.json is to hold.
    """
    prompts, rollouts = inputs["prompts"].path, inputs["rollouts"].path
    files = [inputs["held-out"].path / name for name in ("prompts.jsonl", "dev.jsonl")]
    tests = [row for file in files for row in read_jsonl(file, PromptRow)]
    cleaned = clean(prompts, rollouts, tests)
    _check(slice, cleaned, rollouts)
    rows = [chat_row(slice.prompt, sample, slice.response) for sample in cleaned.samples]
    val_ids = choose_val([row.id for row in rows], slice.dataset.num_val, slice.seed)
    train = [row for row in rows if row.id not in val_ids]
    val = [row for row in rows if row.id in val_ids]
    num_unsolved = _num_questions(prompts) - _num_questions(rollouts, "kept.jsonl")
    verdicts = json.loads((rollouts / "pass_rates.json").read_bytes())["verdicts"]
    contents = card(rows, len(val), slice.response, num_unsolved, verdicts, cleaned)
    _write(out.path, prompts, train, val, contents, cleaned)
    metrics = {
        "num_train": len(train),
        "num_val": len(val),
        "num_quarantined": len(cleaned.quarantined),
        "num_duplicates": len(cleaned.duplicates),
        "num_contaminated": len(cleaned.contaminated),
    }
    print(", ".join(f"{name} {value}" for name, value in metrics.items()), flush=True)
    return out.publish("chat", metrics)


def choose_val(ids: Sequence[str], num_val: int, seed: int) -> frozenset[str]:
    """The ids of val.json: those whose hash with the seed comes first."""
    return frozenset(sorted(ids, key=lambda id: hashlib.sha256(f"{seed}/{id}".encode()).digest())[:num_val])


def _num_questions(folder: Path, name: str = "prompts.jsonl") -> int:
    with (folder / name).open("rb") as file:
        return sum(bool(line.strip()) for line in file)


def _check(slice: DatasetSlice, cleaned: Cleaned, rollouts: Path) -> None:
    allowed, found = slice.dataset.max_bad_fraction, bad_fraction(cleaned)
    if found > allowed:
        shown = "; ".join(str(one) for one in cleaned.quarantined[:MAX_FAULTS_SHOWN])
        raise DataError(
            Fault(
                where=str(rollouts / "kept.jsonl"),
                found=f"{len(cleaned.quarantined)} broken rows ({found:.1%}), the first: {shown}",
                allowed=f"at most {allowed:.1%} (dataset.max_bad_fraction)",
                next="mend the source these rows come from, or raise dataset.max_bad_fraction",
            )
        )
    if len(cleaned.samples) <= slice.dataset.num_val:
        raise DataError(
            Fault(
                where=str(rollouts / "kept.jsonl"),
                found=f"{len(cleaned.samples)} usable rows",
                allowed=f"more than dataset.num_val = {slice.dataset.num_val}",
                next="look at pass_rates.json beside it; ask more questions or lower dataset.num_val",
            )
        )


def _write(
    folder: Path,
    prompts: Path,
    train: Sequence[ChatRow],
    val: Sequence[ChatRow],
    contents: Mapping[str, Any],
    cleaned: Cleaned,
) -> None:
    _write_rows(folder / "train.json", train)
    _write_rows(folder / "val.json", val)
    _write_json(folder / "dataset_info.json", {split: _info(f"{split}.json") for split in ("train", "val")})
    _write_json(folder / "card.json", contents)
    write_jsonl(folder / "quarantine.jsonl", cleaned.quarantined)
    for name in sorted({image for row in (*train, *val) for image in row.images}):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(prompts / name, folder / name)


def _info(file_name: str) -> dict[str, Any]:
    """LLaMA-Factory's description of one file (protocol A4; data/README.md there)."""
    tags = {f"{role}_tag": role for role in ("role", "content", "user", "assistant", "system")}
    columns = {"messages": "messages", "images": "images"}
    return {"file_name": file_name, "formatting": "sharegpt", "columns": columns, "tags": tags}


def _write_rows(path: Path, rows: Sequence[ChatRow]) -> None:
    """A JSON array with one row per line."""
    path.write_text("[\n" + ",\n".join(row.model_dump_json() for row in rows) + "\n]\n", encoding="utf-8")


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

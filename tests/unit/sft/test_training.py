"""The trainer on two real gloo ranks: exact batches, exact resume, frozen parts, refusals."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import Qwen2VLForConditionalGeneration

from spica.recipe.slices import SftSlice

from ...fakes.tiny_student import write_chat
from .ranks import Training, kill, terminate

pytestmark = pytest.mark.slow
MakeSlice = Callable[..., SftSlice]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def big_chat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100 rows: 12 steps of 8 per epoch, 4 rows left out each time."""
    return write_chat(tmp_path_factory.mktemp("big"), num_text=70, num_visual=30, num_val=3)


def test_a_batch_is_spread_whole_and_each_sample_once(
    make_slice: MakeSlice, student: Path, big_chat: Path, tmp_path: Path
) -> None:
    training = Training(make_slice(epochs=1, pack_tokens=256), student, [big_chat], tmp_path)
    assert training.run() == 0
    rows = lines(training.out / "batches.jsonl")
    steps: dict[int, list[str]] = {}
    for row in rows:
        steps.setdefault(row["step"], []).extend(i for pack in row["packs"] for i in pack)
    assert {row["rank"] for row in rows} == {0, 1}
    assert [len(ids) for ids in steps.values()] == [8] * 12
    assert max(Counter(i for ids in steps.values() for i in ids).values()) == 1
    result = json.loads((training.scratch / "result.json").read_text())
    assert (result["num_samples"], result["num_val"], result["step"]) == (100, 3, 12)


@pytest.mark.parametrize(("precision", "zero_stage", "end"), [("fp32", 1, terminate), ("bf16", 1, kill)])
def test_resumed_equals_uninterrupted_byte_for_byte(
    make_slice: MakeSlice,
    student: Path,
    big_chat: Path,
    tmp_path: Path,
    precision: str,
    zero_stage: int,
    end: Callable[..., None],
) -> None:
    recipe = make_slice(epochs=4, precision=precision, zero_stage=zero_stage)
    whole = Training(recipe, student, [big_chat], tmp_path / "whole")
    assert whole.run() == 0
    stopped = Training(recipe, student, [big_chat], tmp_path / "stopped")
    assert stopped.run_until(18, end) != 0
    assert not (stopped.scratch / "result.json").exists()
    saved = sorted(path.name for path in (stopped.scratch / "checkpoints").glob("step-*"))
    if end is terminate:
        assert (stopped.scratch / "preempted.json").exists()
        assert 18 <= int(saved[-1].removeprefix("step-")) < 48
    else:
        assert saved[0] == "step-00000012"
    assert stopped.run() == 0
    assert stopped.files() == whole.files()


def test_an_altered_checkpoint_is_passed_over_for_the_one_before_it(
    make_slice: MakeSlice, student: Path, big_chat: Path, tmp_path: Path
) -> None:
    recipe = make_slice(epochs=3)
    training = Training(recipe, student, [big_chat], tmp_path)
    assert training.run() == 0
    first = training.files()
    newest = sorted((training.scratch / "checkpoints").glob("step-*"))[-1]
    weights = newest / "weights-00000.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x00")
    assert training.run() == 0
    assert training.files() == first


@pytest.mark.parametrize("zero_stage", [2, 3])
def test_rows_with_and_without_pictures_share_a_step_under_zero(
    make_slice: MakeSlice, student: Path, tmp_path: Path, zero_stage: int
) -> None:
    # One picture in four rows over two ranks: one rank has text alone in every step.
    chat = write_chat(tmp_path / "chat", num_text=12, num_visual=4, num_val=3)
    recipe = make_slice(epochs=1, batch_size=4, zero_stage=zero_stage, freeze="llm+merger", pack_tokens=200)
    training = Training(recipe, student, [chat], tmp_path)
    assert training.run() == 0
    assert len(lines(training.out / "metrics.jsonl")) == 5


@pytest.mark.parametrize(
    ("freeze", "changing"),
    [
        ("llm_only", {"language_model", "lm_head"}),
        ("llm+merger", {"language_model", "lm_head", "merger"}),
        ("all", {"language_model", "lm_head", "merger", "tower"}),
    ],
)
def test_only_what_the_freeze_mode_names_changes(
    make_slice: MakeSlice, student: Path, chat: Path, tmp_path: Path, freeze: str, changing: set[str]
) -> None:
    recipe = make_slice(freeze=freeze, epochs=1, ranks_per_node=1, zero_stage=0, learning_rate=0.05)
    training = Training(recipe, student, [chat], tmp_path)
    assert training.run() == 0
    before, after = (
        dict(Qwen2VLForConditionalGeneration.from_pretrained(folder, dtype=torch.bfloat16).named_parameters())
        for folder in (student, training.out)
    )
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    parts = {
        "merger" if "visual.merger" in name else "tower" if "visual" in name else name.split(".")[-3]
        for name in changed
    }
    parts = {
        part if part in ("merger", "tower") else "lm_head" if "lm_head" in part else "language_model"
        for part in parts
    }
    assert {"lm_head.weight"} <= changed
    assert parts | {"lm_head"} == changing


def test_the_export_keeps_the_key_names_and_the_processor(
    make_slice: MakeSlice, student: Path, chat: Path, tmp_path: Path
) -> None:
    training = Training(make_slice(epochs=1), student, [chat], tmp_path)
    assert training.run() == 0
    tensors = load_file(training.out / "model.safetensors")
    assert tensors.keys() == load_file(student / "model.safetensors").keys()
    assert {tensor.dtype for tensor in tensors.values()} == {torch.bfloat16}
    for name in ("tokenizer.json", "chat_template.jinja", "processor_config.json", "generation_config.json"):
        assert (training.out / name).read_bytes() == (student / name).read_bytes()


def test_refused_rows_are_counted_and_named(make_slice: MakeSlice, student: Path, tmp_path: Path) -> None:
    chat = write_chat(tmp_path / "chat", num_text=10, num_val=1)
    rows = json.loads((chat / "train.json").read_text())
    rows[3]["messages"][0]["content"] += "<image>"
    (chat / "train.json").write_text(json.dumps(rows))
    training = Training(make_slice(epochs=1), student, [chat], tmp_path)
    assert training.run() == 0
    assert lines(training.out / "refused.jsonl") == [
        {"file": "train.json", "id": "t3", "reason": "1 <image> for 0 pictures"}
    ]
    assert json.loads((training.scratch / "result.json").read_text())["num_refused"] == 1


def test_a_loss_that_is_no_number_stops_with_the_step_and_its_rows(
    make_slice: MakeSlice, student: Path, chat: Path, tmp_path: Path
) -> None:
    training = Training(make_slice(learning_rate=1e30, warmup_ratio=0.0), student, [chat], tmp_path)
    assert training.run() == 1
    error = json.loads((training.scratch / "error.json").read_text())
    assert error["type"] == "DataError"
    assert error["faults"][0]["where"].startswith("sft step ")
    assert "on the batch" in error["faults"][0]["found"]

"""The trainer on two real gloo ranks: exact batches, exact resume, a checkpoint."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import load_file

from spica.artifacts.manifest import Artifact, Manifest
from spica.artifacts.workspace import Workspace
from spica.launch.local import LocalLauncher
from spica.recipe.slices import SftSlice
from spica.sft.pack import epoch_batches
from spica.sft.run import run

from ...fakes.tiny_student import write_chat
from .ranks import Training, kill, lines
from .world import World

pytestmark = pytest.mark.slow
MakeSlice = Callable[..., SftSlice]


def artifact(task: str, path: Path) -> Artifact:
    """A folder as an input; its manifest names the task alone."""
    manifest = Manifest.model_construct(task=task, digest=hashlib.sha256(task.encode()).hexdigest())
    return Artifact(manifest, "", lambda _: path)


@pytest.fixture(scope="module")
def big_chat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """101 rows: 12 steps of 8 per epoch, 4 rows left out each time, and one that is refused."""
    chat = write_chat(tmp_path_factory.mktemp("big"), num_text=71, num_visual=30, num_val=3)
    rows = json.loads((chat / "train.json").read_text())
    rows[3]["messages"][0]["content"] += "<image>"
    (chat / "train.json").write_text(json.dumps(rows))
    return chat


class Published(NamedTuple):
    """What the stage handed in for publishing."""

    files: Path
    kind: str
    metrics: dict[str, Any]
    tokens: int


@pytest.fixture(scope="module")
def published(
    make_slice: MakeSlice, student: Path, big_chat: Path, tmp_path_factory: pytest.TempPathFactory
) -> Published:
    """One epoch by the stage and the launcher: ZeRO-1, fp32, small packs."""
    folder = tmp_path_factory.mktemp("stage")
    results: list[Published] = []

    def commit(out: Workspace, kind: str, metrics: Any, tokens: int) -> Manifest:
        results.append(Published(out.path, kind, dict(metrics), tokens))
        return artifact("sft-d_t", out.path).manifest

    (folder / "files").mkdir()
    (folder / "scratch").mkdir()
    workspace = Workspace(folder / "files", folder / "scratch", commit)
    inputs = {"student": artifact("student", student), "dataset-d_t": artifact("dataset-d_t", big_chat)}
    run(make_slice(epochs=1, pack_tokens=256), inputs, workspace, LocalLauncher(folder / "state"))
    return results[0]


def test_the_stage_publishes_a_checkpoint_with_counts_and_losses(published: Published) -> None:
    assert published.kind == "checkpoint"
    counts = {key: value for key, value in published.metrics.items() if key != "best_loss"}
    assert counts == {"step": 12, "best_step": 12, "num_samples": 100, "num_val": 3, "num_refused": 1}
    rows = lines(published.files / "metrics.jsonl")
    assert published.metrics["best_loss"] == rows[-1]["val_loss"]
    assert published.tokens == sum(row.get("tokens", 0) for row in rows)


def test_the_card_names_base_and_data_by_digest(published: Published) -> None:
    card = (published.files / "README.md").read_text()
    assert f"- Base: `{hashlib.sha256(b'student').hexdigest()}`" in card
    assert f"- `dataset-d_t`: `{hashlib.sha256(b'dataset-d_t').hexdigest()}`" in card


def test_a_batch_is_spread_whole_and_each_sample_once(published: Published) -> None:
    rows = lines(published.files / "batches.jsonl")
    steps: dict[int, list[str]] = {}
    for row in rows:
        steps.setdefault(row["step"], []).extend(i for pack in row["packs"] for i in pack)
    assert {row["rank"] for row in rows} == {0, 1}
    assert [len(ids) for ids in steps.values()] == [8] * 12
    assert max(Counter(i for ids in steps.values() for i in ids).values()) == 1


def test_refused_rows_are_named_with_their_reason(published: Published) -> None:
    refused = {"file": "train.json", "id": "t3", "reason": "1 <image> for 0 pictures"}
    assert lines(published.files / "refused.jsonl") == [refused]


def test_the_export_keeps_key_names_and_processor_and_is_bf16(published: Published, student: Path) -> None:
    tensors = load_file(published.files / "model.safetensors")
    assert tensors.keys() == load_file(student / "model.safetensors").keys()
    assert {tensor.dtype for tensor in tensors.values()} == {torch.bfloat16}
    for name in ("tokenizer.json", "chat_template.jinja", "processor_config.json", "generation_config.json"):
        assert (published.files / name).read_bytes() == (student / name).read_bytes()


def test_frozen_parameters_do_not_change_and_trained_ones_do(published: Published, student: Path) -> None:
    before = load_file(student / "model.safetensors")
    after = load_file(published.files / "model.safetensors")
    frozen = {name for name in before if "visual" in name}
    assert len(frozen) > 10
    assert {name for name in before if torch.equal(before[name], after[name])} == frozen


@pytest.fixture(scope="module")
def whole(
    make_slice: MakeSlice, student: Path, big_chat: Path, tmp_path_factory: pytest.TempPathFactory
) -> Training:
    """Two epochs of 12 steps without interruption, fp32."""
    training = Training(make_slice(), student, [big_chat], tmp_path_factory.mktemp("whole"))
    assert training.run() == 0
    return training


@pytest.mark.parametrize("step", [7, 12, 24], ids=["mid-epoch", "end-of-epoch", "last"])
def test_stopped_in_any_step_loses_none_and_ends_as_uninterrupted_byte_for_byte(
    whole: Training, tmp_path: Path, step: int
) -> None:
    stopped = whole.elsewhere(tmp_path)
    assert stopped.stop_in(step) != 0
    assert json.loads((stopped.scratch / "preempted.json").read_text()) == {"code": 143}
    assert max((stopped.scratch / "checkpoints").iterdir()).name == f"step-{step:08d}"
    assert stopped.run() == 0
    assert stopped.files() == whole.files()


def test_sigterm_while_the_heavy_modules_are_imported_is_a_preempted_ending(tmp_path: Path) -> None:
    program = str(Path(__file__).parent / "stopped_at_import.py")
    arguments = ["--slice", "s.json", "--input", "student=m", "--out", "out", "--scratch", str(tmp_path)]
    assert subprocess.run([sys.executable, program, *arguments], timeout=50, check=False).returncode == 143


def test_resumed_after_sigkill_in_bf16_equals_uninterrupted_byte_for_byte(
    make_slice: MakeSlice, student: Path, big_chat: Path, tmp_path: Path
) -> None:
    recipe = make_slice(epochs=4, precision="bf16")
    uninterrupted = Training(recipe, student, [big_chat], tmp_path / "uninterrupted")
    assert uninterrupted.run() == 0
    killed = uninterrupted.elsewhere(tmp_path / "killed")
    assert killed.run_until(18, kill) != 0
    assert not (killed.scratch / "result.json").exists()
    assert [path.name for path in (killed.scratch / "checkpoints").glob("step-*")][:1] == ["step-00000012"]
    assert killed.run() == 0
    assert killed.files() == uninterrupted.files()


def test_an_altered_checkpoint_is_passed_over_for_the_one_before_it(whole: Training, tmp_path: Path) -> None:
    again = whole.elsewhere(tmp_path / "again")
    shutil.copytree(whole.scratch, again.scratch)
    newest = max((again.scratch / "checkpoints").glob("step-*"))
    weights = newest / "weights-00000.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x55")
    assert again.run() == 0
    assert again.files() == whole.files()


@pytest.mark.parametrize(("zero_stage", "freeze"), [(2, "llm+merger"), (3, "llm_only")])
def test_a_rank_with_text_alone_shares_steps_with_one_that_sees_pictures(
    make_slice: MakeSlice, student: Path, tmp_path: Path, zero_stage: int, freeze: str
) -> None:
    # Four picture rows in steps of four over two ranks: in most steps one rank has text alone.
    chat = write_chat(tmp_path / "chat", num_text=12, num_visual=4, num_val=3)
    recipe = make_slice(epochs=1, batch_size=4, zero_stage=zero_stage, freeze=freeze, pack_tokens=200)
    training = Training(recipe, student, [chat], tmp_path)
    assert training.run() == 0
    rows = lines(training.out / "metrics.jsonl")
    world = World(student, chat)
    batch = [world.all[index] for index in epoch_batches(16, 4, recipe.seed, 0)[0]]
    expected, _ = world.gradients([world.pack([sample]) for sample in batch], 4)
    assert rows[0]["loss"] == pytest.approx(expected, rel=1e-6)
    assert len(rows) == 5


def test_text_alone_moves_the_merger_by_weight_decay_and_nothing_else(
    make_slice: MakeSlice, student: Path, tmp_path: Path
) -> None:
    chat = write_chat(tmp_path / "chat", num_text=16, num_val=1)
    recipe = make_slice(epochs=1, freeze="llm+merger", precision="bf16", weight_decay=0.1)
    training = Training(recipe, student, [chat], tmp_path)
    assert training.run() == 0
    rates = [row["lr"] for row in lines(training.out / "metrics.jsonl") if "lr" in row]
    left = (1 - 0.1 * rates[0]) * (1 - 0.1 * rates[1])
    before = load_file(student / "model.safetensors")
    after = load_file(training.scratch / "checkpoints" / "step-00000002" / "weights-00000.safetensors")
    merger = {name: value for name, value in after.items() if ".merger." in name}
    assert len(merger) == 6
    for name, value in merger.items():
        expected = before[name.removeprefix("model.")].float() * (left if value.ndim > 1 else 1.0)
        torch.testing.assert_close(value, expected, rtol=1e-6, atol=0.0)


def test_a_loss_that_is_no_number_stops_with_the_step_and_its_rows(
    make_slice: MakeSlice, student: Path, chat: Path, tmp_path: Path
) -> None:
    training = Training(make_slice(learning_rate=1e30, warmup_ratio=0.0), student, [chat], tmp_path)
    assert training.run() == 1
    error = json.loads((training.scratch / "error.json").read_text())
    assert error["type"] == "DataError"
    assert error["faults"][0]["where"].startswith("sft step ")
    assert "on the batch" in error["faults"][0]["found"]

"""The trainer on CUDA and NCCL, and vLLM on GPUs: what no CPU can show."""

import json
from pathlib import Path

import pytest
import torch

from spica.artifacts.manifest import Artifact, Manifest
from spica.launch.contract import ModelServer
from spica.launch.local import LocalLauncher
from spica.launch.readiness import ask_once
from spica.miniature import base
from spica.recipe.slices import ServerScale, SftSlice

from ..fakes.tiny_student import write_chat, write_student
from ..unit.sft.ranks import Training, kill

pytestmark = pytest.mark.gpu
NUM_GPUS = torch.cuda.device_count()
ON_GPUS: dict[str, str] = {}
RANKS = [num for num in (1, 2, 8) if num <= NUM_GPUS]


def make_slice(num_ranks: int, **scale: object) -> SftSlice:
    sft = {
        "freeze": "llm_only", "epochs": 4, "batch_size": 8, "cutoff_len": 512, "learning_rate": 1e-3,
        "schedule": "linear", "min_lr_ratio": 0.1, "warmup_ratio": 0.25, "betas": (0.9, 0.98), "eps": 1e-8,
        "weight_decay": 0.01, "max_grad_norm": 1.0,
    }  # fmt: skip
    spread = {
        "num_nodes": 1, "ranks_per_node": num_ranks, "threads_per_rank": 1, "precision": "bf16",
        "zero_stage": 3, "pack_tokens": 4096, "gradient_checkpointing": True,
    }  # fmt: skip
    return SftSlice.model_validate(
        {"seed": 3, "arm": "D_T", "sft": sft, "min_pixels": 784, "max_pixels": 50176, "scale": spread | scale}
    )


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_student(tmp_path_factory.mktemp("student"))


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chat(tmp_path_factory.mktemp("chat"), num_text=71, num_visual=30, num_val=3)


def losses(training: Training) -> list[float]:
    lines = (training.out / "metrics.jsonl").read_text().splitlines()
    return [row["loss"] for row in map(json.loads, lines) if "loss" in row]


@pytest.mark.parametrize("num_ranks", RANKS)
def test_the_loss_goes_down_on_gpus(num_ranks: int, student: Path, chat: Path, tmp_path: Path) -> None:
    training = Training(make_slice(num_ranks), student, [chat], tmp_path, ON_GPUS)
    assert training.run() == 0
    found = losses(training)
    assert sum(found[-4:]) < sum(found[:4])


@pytest.mark.parametrize("num_ranks", RANKS)
def test_a_killed_training_goes_on_with_the_batches_of_an_undisturbed_one(
    num_ranks: int, student: Path, chat: Path, tmp_path: Path
) -> None:
    whole = Training(make_slice(num_ranks), student, [chat], tmp_path / "whole", ON_GPUS)
    assert whole.run() == 0
    killed = whole.elsewhere(tmp_path / "killed")
    assert killed.run_until(18, kill) != 0
    assert killed.run() == 0
    assert (killed.out / "batches.jsonl").read_bytes() == (whole.out / "batches.jsonl").read_bytes()
    # Reductions of GPUs are not bound to an order: equal up to bf16's rounding.
    assert losses(killed)[-1] == pytest.approx(losses(whole)[-1], rel=0.02)


@pytest.mark.parametrize("tensor_parallel", [num for num in (1, 2) if num <= NUM_GPUS])
def test_vllm_serves_the_miniature_base(tensor_parallel: int, tmp_path: Path) -> None:
    folder = Path(base.__file__).parent / "data" / "base"
    scale = ServerScale(
        precision="bf16", threads=4, tensor_parallel=tensor_parallel, num_servers=1, kv_cache_gib=None,
        max_model_len=512, max_images=1,
    )  # fmt: skip
    checkpoint = Artifact(Manifest.model_construct(), "", lambda _: folder)
    server = ModelServer(name="base", checkpoint=checkpoint, logs=tmp_path / "server.log", scale=scale)
    with LocalLauncher(tmp_path / "state").serve(server) as endpoint:
        assert ask_once(endpoint.url, "1") == "base"

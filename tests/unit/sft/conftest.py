"""A random student, chat data and slices, made once per session."""

from pathlib import Path
from typing import Any

import pytest
import torch

from spica.recipe.slices import SftSlice

from ...fakes.tiny_student import write_chat, write_student

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_student(tmp_path_factory.mktemp("student"))


@pytest.fixture(scope="session")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 text rows, 12 picture rows, 3 to validate."""
    return write_chat(tmp_path_factory.mktemp("chat"), num_text=20, num_visual=12, num_val=3)


@pytest.fixture(scope="session")
def make_slice() -> Any:
    """A slice of 8 samples per step; keywords replace keys of `sft` or `scale`."""

    def make(**changes: Any) -> SftSlice:
        sft = {
            "freeze": "llm_only",
            "epochs": 2,
            "batch_size": 8,
            "cutoff_len": 512,
            "learning_rate": 1e-3,
            "schedule": "linear",
            "min_lr_ratio": 0.1,
            "warmup_ratio": 0.25,
            "betas": (0.9, 0.98),
            "eps": 1e-8,
            "weight_decay": 0.01,
            "max_grad_norm": 1.0,
        }
        scale = {
            "num_nodes": 1,
            "ranks_per_node": 2,
            "threads_per_rank": 1,
            "precision": "fp32",
            "zero_stage": 1,
            "pack_tokens": 4096,
            "gradient_checkpointing": False,
        }
        for key, value in changes.items():
            (sft if key in sft else scale)[key] = value
        return SftSlice.model_validate(
            {"seed": 3, "arm": "D_T", "sft": sft, "min_pixels": 784, "max_pixels": 50176, "scale": scale}
        )

    return make

"""What trains, how fast it learns, what cannot be spread."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
import torch
from safetensors.torch import load_file, save_file

from spica.errors import DataError, RecipeError
from spica.recipe.slices import SftSlice
from spica.sft.engine import Engine, _decay_groups, learning_rate, load_student

MakeSlice = Callable[..., SftSlice]


def part_of(name: str) -> str:
    """The part of the model that a parameter belongs to."""
    if ".visual." in name:
        return "merger" if ".merger." in name else "tower"
    return "lm_head" if name.startswith("lm_head") else "language_model"


@pytest.mark.parametrize(
    ("freeze", "trained"),
    [
        ("llm_only", {"language_model", "lm_head"}),
        ("llm+merger", {"language_model", "lm_head", "merger"}),
        ("all", {"language_model", "lm_head", "merger", "tower"}),
    ],
)
def test_a_freeze_mode_trains_what_it_names(
    student: Path, freeze: Literal["llm_only", "llm+merger", "all"], trained: set[str]
) -> None:
    model, tower = load_student(student, torch.float32, freeze)
    assert {part_of(name) for name, p in model.named_parameters() if p.requires_grad} == trained
    assert (tower is not None) == (freeze == "llm_only")
    assert tower is None or not any(p.requires_grad for p in tower.parameters())


@pytest.mark.parametrize("fate", ["missing", "unexpected"])
def test_a_checkpoint_of_another_model_is_refused(student: Path, tmp_path: Path, fate: str) -> None:
    shutil.copytree(student, tmp_path / "other")
    [file] = (tmp_path / "other").glob("*.safetensors")
    weights = load_file(file)
    [name] = [name for name in weights if name.endswith("model.norm.weight")]
    if fate == "missing":
        del weights[name]
    else:
        weights["model.another.weight"] = weights[name].clone()
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(DataError, match=rf"input student(.|\n)*1 {fate} weights"):
        load_student(tmp_path / "other", torch.float32, "all")


def test_weight_decay_spares_norms_and_biases(student: Path) -> None:
    model, _ = load_student(student, torch.float32, "all")
    decayed, spared = _decay_groups(model.parameters(), 0.1)
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.1, 0.0)
    names = {id(p): name for name, p in model.named_parameters()}
    assert all(
        "norm" in names[id(p)] or "ln_q" in names[id(p)] or "bias" in names[id(p)] for p in spared["params"]
    )
    assert not any("bias" in names[id(p)] or "norm" in names[id(p)] for p in decayed["params"])


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        ("linear", [5e-4, 1e-3, 7.75e-4, 5.5e-4, 3.25e-4, 1e-4]),
        ("cosine", [5e-4, 1e-3, 8.681981e-4, 5.5e-4, 2.318019e-4, 1e-4]),
    ],
)
def test_the_rate_warms_up_over_a_quarter_and_ends_at_its_minimum(
    make_slice: MakeSlice, schedule: str, rates: list[float]
) -> None:
    sft = make_slice(schedule=schedule).sft  # warm-up ceil(0.25 * 6) = 2 steps, minimum 0.1
    assert [learning_rate(step, 6, sft) for step in range(1, 7)] == pytest.approx(rates, rel=1e-6)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"zero_stage": 3, "freeze": "all"}, "3 with sft.freeze: all"),
        ({"zero_stage": 0, "precision": "bf16"}, "0 with precision bf16"),
    ],
)
def test_a_scale_that_cannot_be_trained_is_refused_by_name(
    make_slice: MakeSlice, student: Path, changes: dict[str, object], found: str
) -> None:
    recipe = make_slice(**changes)
    with pytest.raises(RecipeError, match=found):
        Engine(load_student(student, torch.float32, recipe.sft.freeze), recipe.sft, recipe.scale)

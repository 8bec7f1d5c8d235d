"""Two real gloo ranks give the loss and gradients of one process, whatever is spread or computed again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import load_file

from spica.recipe.slices import SftSlice
from spica.sft.pack import epoch_batches

from .ranks import Training, lines
from .world import World

pytestmark = pytest.mark.slow
MakeSlice = Callable[..., SftSlice]


class OneStep(NamedTuple):
    """What the first step of a training found, up to the optimizer's update."""

    loss: float
    gradients: dict[str, torch.Tensor]
    num_packs: int
    """Packs of rank 0."""
    num_forwards: int
    """Times that rank 0 ran the attention of its first layer."""


def one_step(recipe: SftSlice, student: Path, chat: Path, folder: Path) -> OneStep:
    training = Training(recipe, student, [chat], folder)
    assert training.start(str(Path(__file__).parent / "one_step.py")).wait(300) == 0
    return OneStep(
        json.loads((training.out / "loss.json").read_text()),
        load_file(training.out / "gradients.safetensors"),
        len(lines(training.scratch / "batches.jsonl")[0]["packs"]),
        json.loads((training.out / "num_forwards.json").read_text()),
    )


def one_by_one(recipe: SftSlice, student: Path, chat: Path) -> tuple[float, dict[str, torch.Tensor]]:
    """Loss and gradients of all parameters, in fp32, in one process, each sample alone."""
    world = World(student, chat)
    batch = [world.all[index] for index in epoch_batches(len(world.all), 8, recipe.seed, 0)[0]]
    return world.gradients([world.pack([sample]) for sample in batch], len(batch))


# bf16 keeps 8 bits: each rounding errs by up to 2**-9 = 0.2 %, and a gradient is the fruit of a few dozen.
# Measured: 1.2 % of a parameter's gradient at most, where a sample lost of the eight makes 10 % at least.
EXACT, BF16 = (1e-6, 1e-5), (2**-8, 0.03)


@pytest.mark.parametrize(
    ("changes", "tolerances"),
    [
        ({"zero_stage": 0, "freeze": "all"}, EXACT),
        ({"zero_stage": 2, "freeze": "all"}, EXACT),
        ({"zero_stage": 1, "freeze": "llm+merger", "precision": "bf16"}, BF16),  # the miniature's laptop
    ],
    ids=["zero-0", "zero-2", "zero-1-bf16"],
)
def test_two_ranks_give_the_loss_and_gradients_of_one_by_one(
    make_slice: MakeSlice,
    student: Path,
    chat: Path,
    tmp_path: Path,
    changes: dict[str, Any],
    tolerances: tuple[float, float],
) -> None:
    recipe = make_slice(pack_tokens=256, **changes)
    found = one_step(recipe, student, chat, tmp_path)
    loss, gradients = one_by_one(recipe, student, chat)
    assert found.num_packs > 1
    assert found.loss == pytest.approx(loss, rel=tolerances[0])
    frozen = ".visual." if recipe.sft.freeze != "all" else "none"
    assert found.gradients.keys() == {n for n in gradients if frozen not in n or ".merger." in n}
    for name, gradient in found.gradients.items():
        assert (gradient - gradients[name]).norm() <= tolerances[1] * gradients[name].norm(), name


@pytest.fixture(scope="module")
def zero_3(
    make_slice: MakeSlice, student: Path, chat: Path, tmp_path_factory: pytest.TempPathFactory
) -> OneStep:
    recipe = make_slice(zero_stage=3, pack_tokens=256)
    return one_step(recipe, student, chat, tmp_path_factory.mktemp("zero-3"))


def test_zero_3_over_several_packs_gives_the_loss_and_gradients_of_one_by_one(
    zero_3: OneStep, make_slice: MakeSlice, student: Path, chat: Path
) -> None:
    loss, gradients = one_by_one(make_slice(), student, chat)
    assert zero_3.num_packs > 1
    assert zero_3.loss == pytest.approx(loss, rel=EXACT[0])
    assert zero_3.gradients.keys() == {name for name in gradients if ".visual." not in name}
    for name, gradient in zero_3.gradients.items():
        assert (gradient - gradients[name]).norm() <= EXACT[1] * gradients[name].norm(), name


def test_gradient_checkpointing_computes_layers_twice_and_changes_no_bit(
    zero_3: OneStep, make_slice: MakeSlice, student: Path, chat: Path, tmp_path: Path
) -> None:
    recipe = make_slice(zero_stage=3, pack_tokens=256, gradient_checkpointing=True)
    found = one_step(recipe, student, chat, tmp_path)
    assert (zero_3.num_forwards, found.num_forwards) == (zero_3.num_packs, 2 * zero_3.num_packs)
    assert found.loss == zero_3.loss
    assert found.gradients.keys() == zero_3.gradients.keys()
    assert all(torch.equal(found.gradients[name], zero_3.gradients[name]) for name in found.gradients)

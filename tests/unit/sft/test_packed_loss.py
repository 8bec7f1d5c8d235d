"""Packed equals one by one, in one process: loss and gradients."""

from pathlib import Path

import pytest
import torch
from transformers import Qwen2VLForConditionalGeneration

from spica.sft.engine import loss_sum

from .world import World

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def world(student: Path, chat: Path) -> World:
    return World(student, chat)


def test_the_pack_lies_in_one_sequence_with_one_weight_per_sample(world: World) -> None:
    pack = world.pack(world.samples)
    assert pack.segments.lengths == tuple(len(sample.tokens) for sample in world.samples)
    assert pack.tokens.shape == (1, sum(pack.segments.lengths))
    assert pack.weights.sum().item() == pytest.approx(4.0)
    assert pack.tokens[0, pack.label_rows + 1].tolist() == pack.labels.tolist()


def test_packed_gives_the_loss_of_one_by_one_within_1e_6(world: World) -> None:
    packed, _ = world.gradients([world.pack(world.samples)])
    alone, _ = world.gradients([world.pack([sample]) for sample in world.samples])
    assert packed == pytest.approx(alone, rel=1e-6)


def test_packed_gives_the_gradients_of_one_by_one_within_1e_5(world: World) -> None:
    _, packed = world.gradients([world.pack(world.samples)])
    _, alone = world.gradients([world.pack([sample]) for sample in world.samples])
    assert packed.keys() == alone.keys()
    for name, gradient in alone.items():
        assert (packed[name] - gradient).norm() <= 1e-5 * gradient.norm(), name


def test_one_sample_has_the_loss_of_the_plain_model(world: World, student: Path) -> None:
    plain = Qwen2VLForConditionalGeneration.from_pretrained(student, dtype=torch.float32)
    sample = world.samples[1]
    pack = world.pack([sample])
    tokens = torch.from_numpy(sample.tokens)[None]
    labels = torch.where(torch.from_numpy(sample.is_label), tokens, -100)
    expected = plain(
        input_ids=tokens,
        labels=labels,
        pixel_values=pack.pixel_values,
        image_grid_thw=pack.grids,
        mm_token_type_ids=(tokens == plain.config.image_token_id).int(),
    ).loss
    assert loss_sum(world.model, None, pack).item() == pytest.approx(expected.item(), rel=1e-6)


def test_a_sample_does_not_see_its_neighbours(world: World) -> None:
    first, other, last = world.samples[0], world.samples[2], world.text
    with torch.no_grad():
        kept = world.model(**world.pack([first, other]).model_inputs()).logits[0, : first.num_labels]
        swapped = world.model(**world.pack([first, last]).model_inputs()).logits[0, : first.num_labels]
    assert torch.equal(kept, swapped)

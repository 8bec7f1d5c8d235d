import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoProcessor, Qwen2VLForConditionalGeneration

from spica.miniature.base_batches import CellAtlas, collate
from spica.miniature.base_data import (
    conversation,
    fact_document,
    lookup_document,
    option_document,
    read_document,
)
from spica.miniature.base_model import build_model, encode_pictures, patches, positions
from spica.miniature.base_path import base_path
from spica.miniature.pictures import CELL, TRAIN_FONTS, Glyphs, grid, render
from spica.miniature.tokenizer import IMAGE_PAD, build_processor, vocabulary
from spica.miniature.world import MODALITIES, Modality, sample_problem

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def processor() -> Any:
    load: Any = AutoProcessor.from_pretrained
    return load(base_path())


@pytest.fixture(scope="module")
def model() -> Any:
    model: Any = Qwen2VLForConditionalGeneration.from_pretrained(base_path(), dtype=torch.float32)
    return model.eval()


@pytest.mark.parametrize("num_entries", [1, 2, 4, 6, 7, 8])
def test_patches_and_features_equal_those_of_the_library(num_entries: int) -> None:
    rng, fresh = np.random.default_rng(0), build_model(0)
    scene, (rows, columns) = sample_problem(rng, 1, num_entries).scene, grid(num_entries)
    pictures = [render(scene, rng) for _ in range(2)]
    encoded = build_processor().image_processor(images=pictures, return_tensors="pt")
    split = (np.asarray(p).reshape(rows, CELL, columns, CELL, 3).transpose(0, 2, 1, 3, 4) for p in pictures)
    own = torch.from_numpy(np.stack([patches(cells).reshape(-1, 1176) for cells in split]))
    torch.testing.assert_close(own.reshape(-1, 1176), encoded["pixel_values"], rtol=0, atol=1e-6)
    features = fresh.model.visual(encoded["pixel_values"], grid_thw=encoded["image_grid_thw"]).pooler_output
    torch.testing.assert_close(
        encode_pictures(fresh, own, rows, columns).reshape(-1, 128), features, rtol=0, atol=1e-5
    )


def test_positions_walk_through_the_picture_by_row_and_column() -> None:
    assert positions(7, 1, 2, 2).tolist() == [
        [0, 1, 1, 1, 1, 3, 4],
        [0, 1, 1, 2, 2, 3, 4],
        [0, 1, 2, 1, 2, 3, 4],
    ]


@pytest.mark.parametrize("modality", MODALITIES)
def test_positions_equal_the_models_own(modality: Modality) -> None:
    rng = np.random.default_rng(0)
    atlas = CellAtlas(rng, TRAIN_FONTS, 1)
    batch = collate([conversation(rng, 6, modality)], rng, atlas)
    rows, columns = batch.grid
    pictures = None if modality == "text" else torch.tensor([[1, 2 * rows, 2 * columns]])
    kinds = (batch.ids == vocabulary()[IMAGE_PAD]).int()
    own, _ = build_model(0).model.get_rope_index(batch.ids, mm_token_type_ids=kinds, image_grid_thw=pictures)
    assert torch.equal(own, batch.positions)


def test_a_fact_document_states_sums_and_differences_modulo_ten() -> None:
    facts = [
        fact.split("=") for fact in "".join(fact_document(np.random.default_rng(2)).tokens).split(";")[:-1]
    ]
    assert len(facts) == 10
    for expression, result in facts:
        left, right = int(expression[0]), int(expression[2])
        assert int(result) == (left + right if expression[1] == "+" else left - right) % 10


def test_a_lookup_document_states_every_shown_entry_once() -> None:
    shown, stated = "".join(lookup_document(np.random.default_rng(0), 8, "text").tokens).split("\n")
    assert sorted(re.findall("..", stated.upper())) == sorted(re.findall("..", shown))


def test_a_read_document_states_the_entries_of_its_expression_in_order() -> None:
    shown, expression, stated = "".join(read_document(np.random.default_rng(0), 8, "text").tokens).split("\n")
    assert re.sub(r"\d;", "", stated) == expression
    assert set(re.findall(r"[a-j]\d", stated)) <= set(re.findall("..", shown.lower()))


def test_an_option_document_states_the_letter_of_every_value() -> None:
    choices, stated = "".join(option_document(np.random.default_rng(0)).tokens).rsplit("\n", 1)
    assert (
        sorted(f"({answer[1]}) {answer[0]}" for answer in re.findall("..(?=;)", stated))
        == choices.split("\n")[1:]
    )


def test_the_shipped_base_is_at_most_two_and_a_half_megabytes() -> None:
    assert sum(file.stat().st_size for file in Path(base_path()).iterdir()) <= 2_500_000


def test_the_shipped_tokenizer_is_the_one_in_the_code(processor: Any) -> None:
    assert processor.tokenizer.get_vocab() == vocabulary()
    assert processor.chat_template == build_processor().chat_template


@pytest.mark.parametrize(
    ("modality", "glyphs", "at_least"),
    [("text", "train", 0.95), ("visual", "train", 0.95), ("visual", "heldout", 0.8)],
)
def test_the_shipped_base_reads_one_entry(
    model: Any, processor: Any, modality: Modality, glyphs: Glyphs, at_least: float
) -> None:
    rng = np.random.default_rng(7)
    problems = [sample_problem(rng, 1) for _ in range(60)]
    content: list[dict[str, str]] = [] if modality == "text" else [{"type": "image"}]
    chats = [
        [{"role": "user", "content": [*content, {"type": "text", "text": p.prompt(modality)}]}]
        for p in problems
    ]
    texts = processor.apply_chat_template(chats, tokenize=False, add_generation_prompt=True)
    pictures = None if modality == "text" else [render(p.scene, rng, glyphs) for p in problems]
    inputs = processor(text=texts, images=pictures, return_tensors="pt")
    answers = model.generate(**inputs, max_new_tokens=8, do_sample=False)[:, inputs["input_ids"].shape[1] :]
    expected = [f"\\boxed{{{problem.gold}}}" for problem in problems]
    found = processor.batch_decode(answers, skip_special_tokens=True)
    assert sum(map(str.__eq__, found, expected)) >= at_least * len(problems)

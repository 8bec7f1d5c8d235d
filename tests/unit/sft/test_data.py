"""Rows to samples: tokens, labels, positions, refusals."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import Qwen2VLForConditionalGeneration, Qwen2VLProcessor

from spica.artifacts.types import ChatRow
from spica.errors import DataError
from spica.sft.data import Encoder, read_rows
from spica.sft.pictures import Pictures

Make = Callable[..., Encoder]


@pytest.fixture(scope="module")
def model(student: Path) -> Qwen2VLForConditionalGeneration:
    return Qwen2VLForConditionalGeneration.from_pretrained(student, dtype=torch.float32)


@pytest.fixture(scope="module")
def processor(student: Path) -> Any:
    return Qwen2VLProcessor.from_pretrained(student)


@pytest.fixture
def make_encoder(model: Qwen2VLForConditionalGeneration, processor: Any) -> Make:
    def make(cutoff_len: int = 512) -> Encoder:
        pictures = Pictures(processor.image_processor, torch.float32)
        return Encoder(processor, model.model.get_rope_index, pictures, cutoff_len)

    return make


def row(
    question: str, answer: str = "\\boxed{7}", images: tuple[str, ...] = (), row_id: str = "r"
) -> ChatRow:
    return ChatRow.model_validate(
        {
            "id": row_id,
            "messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}],
            "images": images,
        }
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    Image.new("RGB", (112, 56), (200, 30, 40)).save(tmp_path / "images" / "a.png")
    return tmp_path


def png_of(width: int, height: int) -> bytes:
    """A PNG of 60 bytes that claims to be as large as that."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"")


def test_labels_are_the_answer_and_its_end_token_alone(
    make_encoder: Make, processor: Any, tmp_path: Path
) -> None:
    (sample,), _ = make_encoder().encode([row("A5C3\nc=?")], tmp_path, "train.json")
    words = processor.tokenizer.convert_ids_to_tokens(sample.tokens.tolist())
    assert words[-4:] == ["\\boxed{", "7", "}", "<|im_end|>"]
    assert sample.is_label.tolist() == [False] * (len(words) - 4) + [True] * 4


def test_every_turn_of_the_assistant_is_learned(make_encoder: Make, processor: Any, tmp_path: Path) -> None:
    turns = [("user", "c=?"), ("assistant", "4"), ("user", "e=?"), ("assistant", "2")]
    many = ChatRow.model_validate(
        {"id": "m", "messages": [{"role": role, "content": content} for role, content in turns]}
    )
    (sample,), _ = make_encoder().encode([many], tmp_path, "train.json")
    learned = processor.tokenizer.convert_ids_to_tokens(sample.tokens[sample.is_label].tolist())
    assert learned == ["4", "<|im_end|>", "2", "<|im_end|>"]


def test_a_picture_row_has_the_tokens_of_the_processor(
    make_encoder: Make, processor: Any, folder: Path
) -> None:
    (sample,), _ = make_encoder().encode(
        [row("<image>c+h=?", images=("images/a.png",))], folder, "train.json"
    )
    content = [{"type": "image"}, {"type": "text", "text": "c+h=?"}]
    messages = [{"role": "user", "content": content}, {"role": "assistant", "content": "\\boxed{7}"}]
    text = processor.apply_chat_template(messages, tokenize=False)
    with Image.open(folder / "images" / "a.png") as image:
        expected = processor(text=[text], images=[image], return_tensors="np")["input_ids"][0]
    assert sample.tokens.tolist() == expected.tolist()[:-1]  # the template's last newline is not learned


def test_picture_positions_run_over_rows_and_columns(
    make_encoder: Make, processor: Any, folder: Path
) -> None:
    (sample,), _ = make_encoder().encode([row("<image>c=?", images=("images/a.png",))], folder, "train.json")
    start = int(np.flatnonzero(sample.tokens == processor.image_token_id)[0])
    picture = sample.positions[:, start : start + 8] - start
    assert picture.tolist() == [[0] * 8, [0, 0, 0, 0, 1, 1, 1, 1], [0, 1, 2, 3, 0, 1, 2, 3]]
    # After a picture of 2 x 4 merged patches, text goes on from the largest position, 3.
    assert sample.positions[:, start + 8].tolist() == [start + 4] * 3


def test_text_positions_count_up(make_encoder: Make, tmp_path: Path) -> None:
    (sample,), _ = make_encoder().encode([row("c=?")], tmp_path, "train.json")
    assert sample.positions.tolist() == [list(range(len(sample.tokens)))] * 3


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (row("<image><image>c=?", images=("images/a.png",)), "2 <image> for 1 pictures"),
        (row("c=?", images=("images/a.png",)), "0 <image> for 1 pictures"),
        (row("<image>c=?", images=("images/none.png",)), "picture none.png"),
        (row("<image>c=?", images=("images/torn.png",)), "picture torn.png"),
        (row("<image>c=?", images=("images/loop.png",)), "lies outside the dataset"),
        (row("<image>c=?", images=(f"images/{'a' * 300}.png",)), "File name too long"),
        (row("<image>c=?", images=("images/bomb.png",)), "4294967296 pixels"),
        (row("<image>c=?", images=("images/large.png",)), "10000 x 10000 pixels, at most"),
        (row("<image>c=?", images=("images/strip.png",)), "aspect ratio"),
        (row("<image>c=?", images=("images/empty.png",)), "picture empty.png"),
        (row("c=?<|im_end|>"), "special token <|im_end|> inside a message"),
        (row("c=?", answer="4" * 600), "cutoff_len is 512"),
        (ChatRow(id="r", messages=()), "the last message is not the assistant's"),
    ],
)
def test_a_row_that_cannot_be_used_is_refused_with_its_reason(
    make_encoder: Make, folder: Path, bad: ChatRow, reason: str
) -> None:
    images = folder / "images"
    (images / "torn.png").write_bytes((images / "a.png").read_bytes()[:60])
    (images / "loop.png").symlink_to("loop.png")
    (images / "bomb.png").write_bytes(png_of(2**16, 2**16))
    (images / "large.png").write_bytes(png_of(10_000, 10_000))
    (images / "empty.png").touch()
    Image.new("RGB", (300, 1)).save(images / "strip.png")
    samples, refused = make_encoder().encode([bad, row("c=?", row_id="good")], folder, "train.json")
    assert [sample.id for sample in samples] == ["good"]
    assert [(r.file, r.id) for r in refused] == [("train.json", "r")]
    assert reason in refused[0].reason


def test_rows_that_are_no_chat_rows_are_named(tmp_path: Path) -> None:
    (tmp_path / "train.json").write_text('[{"id": "a", "messages": 3}]')
    with pytest.raises(DataError, match=r"0\.messages"):
        read_rows(tmp_path, "train.json")

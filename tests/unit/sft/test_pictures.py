"""Whatever a picture does to its decoder, only its rows are lost."""

import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image, PngImagePlugin
from transformers import Qwen2VLProcessor

from spica.sft.pictures import Pictures


@pytest.mark.parametrize(
    ("error", "reason"),
    [(struct.error("unpack requires 8 bytes"), "unpack requires 8 bytes"), (MemoryError(), "MemoryError")],
)
def test_a_decoder_that_fails_in_any_way_refuses_its_picture_alone(
    student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    for name in ("good.png", "hostile.png"):
        Image.new("RGB", (56, 28)).save(tmp_path / name)
    loads = PngImagePlugin.PngImageFile.load

    def load(image: PngImagePlugin.PngImageFile) -> Any:
        if Path(image.filename).name == "hostile.png":
            raise error
        return loads(image)

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", load)
    pictures = Pictures(Qwen2VLProcessor.from_pretrained(student).image_processor, torch.float32)
    refused = pictures.check([tmp_path / "good.png", tmp_path / "hostile.png"])
    assert refused == {tmp_path / "hostile.png": f"picture hostile.png: {reason}"}
    assert pictures.grid(tmp_path / "good.png") == (1, 2, 4)


def test_pictures_processed_together_have_the_patches_of_each_alone(student: Path, tmp_path: Path) -> None:
    paths = [tmp_path / f"{index}.png" for index in range(4)]
    for index, path in enumerate(paths):
        Image.effect_noise((28 + 9 * index, 56), 50).convert("RGB").save(path)
    processor = Qwen2VLProcessor.from_pretrained(student).image_processor
    together, alone = Pictures(processor, torch.float32), Pictures(processor, torch.float32)
    together.check(paths)
    for path in paths:
        alone.check([path])
        assert torch.equal(together.patches(path), alone.patches(path))

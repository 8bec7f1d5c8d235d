"""The trained student as a Hugging Face folder that from_pretrained and vLLM load; deterministic bytes."""

import shutil
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor
from transformers import Qwen2VLForConditionalGeneration

COPIED = (
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
    "merges.txt",
    "preprocessor_config.json",
    "processor_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "video_preprocessor_config.json",
    "vocab.json",
)
"""Files of the student that training does not change."""


def export(student: Path, weights: Iterable[tuple[str, Tensor]], out: Path) -> None:
    """Write the student with `weights` (trained parameters by name) in place of its own to `out`."""
    model = Qwen2VLForConditionalGeneration.from_pretrained(student, dtype=torch.bfloat16)
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, value in weights:
            parameters[name].copy_(value)
    model.save_pretrained(out)
    for name in COPIED:
        if (student / name).is_file():
            shutil.copyfile(student / name, out / name)
    for path in out.glob("*.safetensors"):
        path.chmod(0o644)

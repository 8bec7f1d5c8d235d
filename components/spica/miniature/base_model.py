"""The base's architecture and its forward pass over batches in which every picture has the same size."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration
from transformers.models.qwen2_vl.modeling_qwen2_vl import apply_rotary_pos_emb_vision

from spica.miniature.pictures import PATCH
from spica.miniature.tokenizer import IM_END, IMAGE_PAD, PAD, VIDEO_PAD, VISION_END, VISION_START, vocabulary
from spica.recipe.miniature_base import BaseSize

_MERGE = 2
_MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
_STD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)
# M-RoPE gives the column the lowest frequencies: with a base of 10,000 neighbouring columns look alike.
_ROPE_THETA = 30.0
_RELATIVE_HEAD_GAIN = 6.0


def build_model(seed: int, size: BaseSize = "large") -> Any:
    """A fresh model in fp32, hidden 128; vision 64 wide, 2 deep.

    large: 4 layers, intermediate 384, about 1.1 M parameters, the architecture of the shipped base.
    small: 3 layers, intermediate 256, about 0.7 M.
    """
    vocab = vocabulary()
    num_layers, intermediate_size = {"large": (4, 384), "small": (3, 256)}[size]
    config = Qwen2VLConfig(
        text_config={
            "vocab_size": len(vocab),
            "hidden_size": 128,
            "intermediate_size": intermediate_size,
            "num_hidden_layers": num_layers,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 4096,
            "rope_parameters": {
                "rope_type": "default",
                "type": "mrope",
                "mrope_section": [4, 6, 6],
                "rope_theta": _ROPE_THETA,
            },
            "tie_word_embeddings": False,
            "bos_token_id": None,
            "eos_token_id": vocab[IM_END],
            "pad_token_id": vocab[PAD],
            "initializer_range": 0.05,
        },
        vision_config={
            "depth": 2,
            "embed_dim": 64,
            "hidden_size": 128,
            "num_heads": 4,
            "mlp_ratio": 2,
            "patch_size": PATCH,
            "spatial_merge_size": _MERGE,
            "temporal_patch_size": 2,
            "initializer_range": 0.05,
        },
        image_token_id=vocab[IMAGE_PAD],
        video_token_id=vocab[VIDEO_PAD],
        vision_start_token_id=vocab[VISION_START],
        vision_end_token_id=vocab[VISION_END],
        tie_word_embeddings=False,
    )
    torch.manual_seed(seed)
    make: Any = Qwen2VLForConditionalGeneration
    model = make(config)
    _start_with_relative_heads(model)
    return model


def _start_with_relative_heads(model: Any) -> None:
    """Biases three heads so that they look one, two (layer 0) and three (layer 1) tokens back from the start.

    Facts and the order of a question are found through these offsets; left to chance they come late or never.
    Layer 0 keeps two free heads with a key head of their own: without them lookups come late.
    """
    size = model.config.text_config.hidden_size // model.config.text_config.num_attention_heads
    frequency = _ROPE_THETA ** (-torch.arange(0, size, 2).float() / size)
    for layer, head, offset in ((0, 0, 1), (0, 1, 2), (1, 0, 3)):
        attention = model.model.language_model.layers[layer].self_attn
        query = torch.cat([torch.cos(offset * frequency), -torch.sin(offset * frequency)])
        key = torch.cat([torch.ones_like(frequency), torch.zeros_like(frequency)])
        with torch.no_grad():
            attention.q_proj.bias[head * size : (head + 1) * size] = _RELATIVE_HEAD_GAIN * query
            attention.k_proj.bias[:size] = _RELATIVE_HEAD_GAIN * key


def patches(cells: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Cells [..., 28, 28, 3] to the image processor's patches [..., 4, 1176] (channel, time, row, column)."""
    lead = cells.shape[:-3]
    scaled: NDArray[np.float32] = (cells.astype(np.float32) / np.float32(255) - _MEAN) / _STD
    blocks = scaled.reshape(*lead, _MERGE, PATCH, _MERGE, PATCH, 3)
    axes = np.array([0, 2, 4, 1, 3]) + len(lead)
    blocks = blocks.transpose(*range(len(lead)), *axes)
    still = np.broadcast_to(blocks[..., None, :, :], (*blocks.shape[:-2], 2, PATCH, PATCH))
    return still.reshape(*lead, _MERGE * _MERGE, 3 * 2 * PATCH * PATCH)


def positions(length: int, image_start: int | None, rows: int, columns: int) -> NDArray[np.int64]:
    """M-RoPE positions [3, length] (time, row, column) of a sequence with at most one picture."""
    if image_start is None:
        return np.broadcast_to(np.arange(length), (3, length)).copy()
    end = image_start + rows * columns
    row, column = np.divmod(np.arange(rows * columns), columns)
    place = np.empty((3, length), np.int64)
    place[:, :image_start] = np.arange(image_start)
    place[:, image_start:end] = image_start + np.stack([np.zeros_like(row), row, column])
    place[:, end:] = image_start + max(rows, columns) + np.arange(length - end)
    return place


def encode_pictures(model: Any, pixels: Tensor, rows: int, columns: int) -> Tensor:
    """Vision tower and merger for equal pictures: patches [B, cells*4, 1176] to features [B, cells, 128].

    The same numbers as the model's own forward, which walks through the pictures one by one.
    """
    visual: Any = model.model.visual
    batch, num_patches, _ = pixels.shape
    grid = torch.tensor([[1, rows * _MERGE, columns * _MERGE]])
    hidden = visual.patch_embed(pixels.reshape(batch * num_patches, -1))
    cos, sin = _vision_rope(visual, grid, hidden)
    cos, sin = cos.repeat(batch, 1), sin.repeat(batch, 1)
    for block in visual.blocks:
        attention = block.attn
        qkv = attention.qkv(block.norm1(hidden)).reshape(batch * num_patches, 3, attention.num_heads, -1)
        query, key, value = qkv.unbind(1)
        query, key = apply_rotary_pos_emb_vision(query, key, cos, sin)
        parts = [
            x.reshape(batch, num_patches, attention.num_heads, -1).transpose(1, 2)
            for x in (query, key, value)
        ]
        mixed = F.scaled_dot_product_attention(parts[0], parts[1], parts[2]).transpose(1, 2)
        hidden = hidden + attention.proj(mixed.reshape(batch * num_patches, -1))
        hidden = hidden + block.mlp(block.norm2(hidden))
    features: Tensor = visual.merger(hidden)
    return features.reshape(batch, rows * columns, -1)


def _vision_rope(visual: Any, grid: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
    from transformers.vision_utils import get_vision_position_ids

    cos, sin = visual.rotary_pos_emb(hidden, get_vision_position_ids(grid, visual.spatial_merge_size))
    return cos, sin

"""Attention within segments: packed samples never see each other, and no token of padding is computed.

Registered with transformers' AttentionInterface under `NAME`; the model then runs it for the decoder (causal,
within the packed samples) and for the vision tower (full; transformers calls it once per picture).
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

NAME = "spica_segments"


class Segments(NamedTuple):
    """Where the samples of a pack lie."""

    lengths: tuple[int, ...]
    """Tokens of each sample, in order; they sum to the pack's length."""
    offsets: Tensor
    """Their running sum from 0 on the pack's device, int32, shape (num_samples + 1,)."""


def segment_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    scaling: float,
    dropout: float = 0.0,
    segments: Segments | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attend within each segment.

    Args:
        module: the calling attention layer; `is_causal` tells the decoder from the vision tower.
        query: (1, num_heads, num_tokens, head_dim).
        key: (1, num_key_value_heads, num_tokens, head_dim).
        value: like `key`.
        attention_mask: unused, the segments say it all.
        scaling: factor on the scores.
        dropout: unused, fine-tuning runs without.
        segments: the samples of the pack; needed where `module.is_causal`.

    Returns:
        (1, num_tokens, num_heads, head_dim), and no attention weights.
    """
    causal = bool(module.is_causal)
    if causal and segments is None:
        raise ValueError("causal attention over a pack needs its segments")
    lengths = segments.lengths if causal and segments is not None else (query.shape[2],)
    if query.is_cuda and causal and segments is not None and query.dtype in (torch.bfloat16, torch.float16):
        return _varlen(query, key, value, scaling, segments), None
    dtype = query.dtype
    if query.device.type == "cpu":
        # The CPU kernel's bf16 backward costs 4 times its fp32 backward at 100 tokens (torch 2.13).
        query, key, value = query.float(), key.float(), value.float()
    outputs = [
        scaled_dot_product_attention(
            q, k, v, is_causal=causal, scale=scaling, enable_gqa=q.shape[1] != k.shape[1]
        )
        for q, k, v in zip(*(x.split_with_sizes(lengths, 2) for x in (query, key, value)), strict=True)
    ]
    joined = outputs[0] if len(outputs) == 1 else torch.cat(outputs, 2)
    return joined.transpose(1, 2).to(dtype), None


def _varlen(query: Tensor, key: Tensor, value: Tensor, scaling: float, segments: Segments) -> Tensor:
    """All segments in one kernel (torch.nn.attention.varlen: CUDA, half precision)."""
    from torch.nn.attention.varlen import varlen_attn

    longest = max(segments.lengths)
    q, k, v = (x[0].transpose(0, 1) for x in (query, key, value))
    output = varlen_attn(
        q,
        k,
        v,
        segments.offsets,
        segments.offsets,
        longest,
        longest,
        scale=scaling,
        window_size=(-1, 0),
        enable_gqa=q.shape[1] != k.shape[1],
    )
    assert isinstance(output, Tensor)  # a tuple only with return_aux
    return output[None]


AttentionInterface.register(NAME, segment_attention)

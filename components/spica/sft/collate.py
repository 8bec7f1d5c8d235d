"""Samples -> one packed sequence: tokens, positions, segments, label rows and their weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spica.sft.attention import Segments
from spica.sft.data import Sample


@dataclass(frozen=True)
class Pack:
    """One forward of one rank: several samples in one sequence."""

    tokens: Tensor
    """(1, num_tokens)"""
    positions: Tensor
    """(3, 1, num_tokens): M-RoPE positions, starting from 0 in each sample."""
    segments: Segments
    label_rows: Tensor
    """(num_labels,): where the model's output predicts a label (one before the label itself)."""
    labels: Tensor
    """(num_labels,)"""
    weights: Tensor
    """(num_labels,) float32: factor / labels of the sample; sum(weights * loss) is a sum of sample means."""
    pixel_values: Tensor | None
    """(num_patches, patch_dim), pictures in order of appearance; None for text alone."""
    grids: Tensor | None
    """(num_pictures, 3)"""

    def model_inputs(self) -> dict[str, Any]:
        """Arguments of the model's forward, but for the pictures; its logits are (1, num_labels, words)."""
        return {
            "input_ids": self.tokens,
            "position_ids": self.positions,
            # The attention function reads the segments; a mapping keeps the model from building a mask.
            "attention_mask": {"full_attention": None},
            "segments": self.segments,
            "logits_to_keep": self.label_rows,
            "use_cache": False,
        }


def collate(
    samples: Sequence[Sample],
    patches: Callable[[Path], Tensor],
    grid: Callable[[Path], tuple[int, int, int]],
    device: torch.device,
    factors: Sequence[float] | None = None,
) -> Pack:
    """Lay `samples` one after another.

    Args:
        samples: what the pack holds, in order.
        patches: a picture's patches.
        grid: a picture's patches along time, height and width.
        device: where the tensors go.
        factors: how often each sample counts; once when left out.
    """
    factors = factors if factors is not None else [1.0] * len(samples)
    lengths = [len(sample.tokens) for sample in samples]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    at = [np.flatnonzero(sample.is_label) for sample in samples]
    rows = np.concatenate([where + offset - 1 for where, offset in zip(at, offsets[:-1], strict=True)])
    labels = np.concatenate([sample.tokens[where] for sample, where in zip(samples, at, strict=True)])
    weights = np.concatenate(
        [
            np.full(len(where), factor / len(where), dtype=np.float32)
            for where, factor in zip(at, factors, strict=True)
        ]
    )
    pictures = [path for sample in samples for path in sample.pictures]

    def tensor(array: Any) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(device)

    return Pack(
        tokens=tensor(np.concatenate([sample.tokens for sample in samples]))[None],
        positions=tensor(np.concatenate([sample.positions for sample in samples], axis=1))[:, None],
        segments=Segments(tuple(lengths), tensor(offsets.astype(np.int32))),
        label_rows=tensor(rows),
        labels=tensor(labels),
        weights=tensor(weights),
        pixel_values=torch.cat([patches(path) for path in pictures]).to(device) if pictures else None,
        grids=torch.tensor([grid(path) for path in pictures], device=device) if pictures else None,
    )

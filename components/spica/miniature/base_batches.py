"""Batches of the base's training: samples of tokens and targets, their pictures, and how they are padded."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spica.miniature.base_model import patches, positions
from spica.miniature.pictures import CELL, draw_cell, grid, sample_look
from spica.miniature.tokenizer import IMAGE_PAD, PAD, vocabulary
from spica.miniature.world import LABELS, STYLES, Entry

TARGETS = ("fact", "read", "copy", "letter", "boxed", "form")


@dataclass
class Sample:
    """Tokens, the kind of target that each is ("" for context), and the entries of the picture, if any."""

    tokens: list[str] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    pictured: tuple[Entry, ...] = ()

    def add(self, tokens: Iterable[str], target: str = "") -> None:
        """Appends tokens that all have one kind of target."""
        added = list(tokens)
        self.tokens += added
        self.targets += [target] * len(added)


class Batch(NamedTuple):
    """One padded batch; every picture has the same size and starts at the same place.

    Attributes:
        ids: Token ids [B, L].
        targets: Index into TARGETS, or -1 for context and padding, [B, L].
        positions: M-RoPE positions [3, B, L].
        pixels: Patches [B, num_patches, 1176] or None.
        grid: Rows and columns of cells.
        image_start: Index of the first image token.
    """

    ids: Tensor
    targets: Tensor
    positions: Tensor
    pixels: Tensor | None
    grid: tuple[int, int]
    image_start: int


class CellAtlas:
    """Cells drawn once, `num_variants` per style, label and value, as patches."""

    def __init__(self, rng: np.random.Generator, fonts: Sequence[str], num_variants: int) -> None:
        shape = (len(STYLES), len(LABELS) + 1, 10, num_variants)
        cells = np.empty((*shape, CELL, CELL, 3), np.uint8)
        for index in np.ndindex(shape):
            style, label, value, variant = index
            entry = (LABELS[label], value) if label < len(LABELS) else None
            cell = draw_cell(entry, STYLES[style], sample_look(rng, fonts[variant % len(fonts)]))
            cells[index] = np.asarray(cell)
        self._patches = patches(cells)

    def pictures(self, rng: np.random.Generator, scenes: Sequence[tuple[Entry, ...]]) -> NDArray[np.float32]:
        """One picture per scene of equal size, style and variants drawn: [B, num_patches, 1176]."""
        rows, columns = grid(len(scenes[0]))
        blanks = [(len(LABELS), 0)] * (rows * columns - len(scenes[0]))
        cells = np.array([[*((LABELS.index(label), v) for label, v in scene), *blanks] for scene in scenes])
        style = rng.integers(0, len(STYLES), (len(scenes), 1))
        variant = rng.integers(0, self._patches.shape[3], cells.shape[:2])
        drawn: NDArray[np.float32] = self._patches[style, cells[..., 0], cells[..., 1], variant]
        return drawn.reshape(len(scenes), rows * columns * 4, -1)


def collate(samples: Sequence[Sample], rng: np.random.Generator, atlas: CellAtlas) -> Batch:
    """Pads samples that all have a picture of the same size, or all have none."""
    vocab, pictured = vocabulary(), samples[0].pictured
    rows, columns = grid(len(pictured)) if pictured else (0, 0)
    start = samples[0].tokens.index(IMAGE_PAD) if pictured else None
    size = (len(samples), max(len(sample.tokens) for sample in samples))
    ids, targets = np.full(size, vocab[PAD]), np.full(size, -1)
    kinds = {"": -1} | {kind: i for i, kind in enumerate(TARGETS)}
    for i, sample in enumerate(samples):
        ids[i, : len(sample.tokens)] = [vocab[token] for token in sample.tokens]
        targets[i, : len(sample.tokens)] = [kinds[kind] for kind in sample.targets]
    place = positions(size[1], start, rows, columns)
    pixels = atlas.pictures(rng, [sample.pictured for sample in samples]) if pictured else None
    return Batch(
        torch.from_numpy(ids),
        torch.from_numpy(targets),
        torch.from_numpy(place)[:, None].expand(3, len(samples), -1),
        None if pixels is None else torch.from_numpy(pixels),
        (rows, columns),
        start or 0,
    )

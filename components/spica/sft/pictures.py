"""Pictures of the training rows: checked once, made into patches by the checkpoint's image processor."""

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

FORMATS = ("PNG", "JPEG", "WEBP")
MAX_SOURCE_PIXELS = 64 * 2**20
"""A larger file is refused before it is decoded: a small hostile file can hold gigabytes of pixels."""
MAX_CACHED_BYTES = 2**30
"""Patches kept in memory per rank; pictures beyond it are decoded again each time."""
_CHUNK_PIXELS = 4 * 2**20
"""Pictures are processed together up to about this many pixels, so that large ones never add up."""


class Pictures:
    """Patches and grids of pictures, by file."""

    def __init__(self, image_processor: Any, dtype: torch.dtype) -> None:
        """Patches come out as `dtype`, that of the vision tower (which would cast them first thing)."""
        self._processor = image_processor
        self._dtype = dtype
        self._grids: dict[Path, tuple[int, int, int]] = {}
        self._patches: dict[Path, Tensor] = {}
        self._cached_bytes = 0

    def check(self, paths: Iterable[Path]) -> dict[Path, str]:
        """Decode every picture once; return why those that cannot be used cannot be used."""
        refused: dict[Path, str] = {}
        chunk: dict[Path, Image.Image] = {}
        num_pixels = 0
        for path in dict.fromkeys(paths):
            if path in self._grids:
                continue
            try:
                chunk[path] = image = _decode(path)
                num_pixels += image.width * image.height
            except Exception as error:  # hostile bytes make Pillow's decoders raise nearly anything
                refused[path] = _reason(path, error)
            if num_pixels >= _CHUNK_PIXELS:
                refused.update(self._keep(chunk))
                chunk, num_pixels = {}, 0
        refused.update(self._keep(chunk))
        return refused

    def grid(self, path: Path) -> tuple[int, int, int]:
        """Patches of a checked picture along time, height and width."""
        return self._grids[path]

    def patches(self, path: Path) -> Tensor:
        """Patches of a checked picture, shape (time * height * width, channels * 2 * patch * patch)."""
        cached = self._patches.get(path)
        return cached if cached is not None else self._process([_decode(path)])[0][0]

    def _keep(self, chunk: dict[Path, Image.Image]) -> dict[Path, str]:
        if not chunk:
            return {}
        try:
            results = self._process(list(chunk.values()))
        except (ValueError, MemoryError) as error:  # smart_resize: aspect ratio above 200
            if len(chunk) == 1:
                return {path: _reason(path, error) for path in chunk}
            refused: dict[Path, str] = {}
            for path, image in chunk.items():
                refused.update(self._keep({path: image}))
            return refused
        for path, (patches, grid) in zip(chunk, results, strict=True):
            self._grids[path] = grid
            if self._cached_bytes + patches.nbytes <= MAX_CACHED_BYTES:
                self._patches[path] = patches
                self._cached_bytes += patches.nbytes
        return {}

    def _process(self, images: Sequence[Image.Image]) -> list[tuple[Tensor, tuple[int, int, int]]]:
        features = self._processor(images=list(images), return_tensors="pt")
        grids = [(int(t), int(h), int(w)) for t, h, w in features["image_grid_thw"].tolist()]
        parts = features["pixel_values"].to(self._dtype).split([t * h * w for t, h, w in grids])
        return [(part.clone(), grid) for part, grid in zip(parts, grids, strict=True)]


def _reason(path: Path, error: Exception) -> str:
    text = str(error).replace(str(path), path.name) or type(error).__name__
    return f"picture {path.name}: {text}"


def _decode(path: Path) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limit below is the tighter one
        image = Image.open(path, formats=FORMATS)
    with image:
        width, height = image.size
        if width * height > MAX_SOURCE_PIXELS:
            raise ValueError(f"{width} x {height} pixels, at most {MAX_SOURCE_PIXELS} allowed")
        return image.convert("RGB")

"""Whether two pictures are one and the same: cropped, scaled or compressed again.

One is aligned to a window of the other (Gauss-Newton over the four sides, coarse to fine), then compared in
detail: correlation in all and in its blocks, and colour.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spica.dataset.prints import ALL, FLAT, Floats, Sides

MIN_ROUGH_CORRELATION = 0.6
MIN_CORRELATION = 0.8
MIN_BLOCK_CORRELATION = 0.75
"""Reached by 80 % of the blocks that show anything; tables that share their lines alone have less."""
MAX_COLOUR_DISTANCE = 24.0
"""Mean absolute difference of aligned pictures, of 255."""

_DETAIL = 320
_COLOURED = 96
_FINE = 192
_MAX_CUT = 0.25


class Likeness(NamedTuple):
    """How alike two pictures are once one is laid into the other."""

    correlation: float
    block_correlation: float
    colour_distance: float

    @property
    def same(self) -> bool:
        """One and the same picture."""
        return (
            self.correlation >= MIN_CORRELATION
            and self.block_correlation >= MIN_BLOCK_CORRELATION
            and self.colour_distance <= MAX_COLOUR_DISTANCE
        )


def rough_place(part: NDArray[np.uint8], whole: NDArray[np.uint8], window: Sides) -> Sides | None:
    """A look at 48 x 48 pixels, before files are opened: where the part lies; None for nowhere near.

    Args:
        part: Grey pixels, shape (64, 64).
        whole: The same of the picture in which the part may lie.
        window: Where to begin.
    """
    if whole.std() < FLAT:
        return window
    sides, correlation = _align(Image.fromarray(part), Image.fromarray(whole), window, ((24, 4), (48, 3)))
    return sides if correlation >= MIN_ROUGH_CORRELATION else None


def likeness(part: Path, whole: Path, sides: Sides = ALL) -> Likeness:
    """How alike a picture is to a window of another one.

    Args:
        part: A picture file.
        whole: Another one.
        sides: Where in it the part lies, roughly.

    Raises:
        OSError: One of them cannot be read.
    """
    one, other = _detail(part), _detail(whole)
    sides, correlation = _align(one.grey, other.grey, sides, ((96, 4), (_FINE, 3)))
    ours, theirs = _cut(one.grey, ALL, _FINE), _cut(other.grey, sides, _FINE)
    blocks = _block_correlations(ours, theirs)
    colours = _cut(one.coloured, ALL, _COLOURED) - _cut(other.coloured, sides, _COLOURED)
    if max(ours.std(), theirs.std()) < FLAT:  # nothing is drawn: colour alone can tell
        correlation = 1.0
    return Likeness(
        correlation=correlation,
        block_correlation=float(np.percentile(blocks, 20)) if blocks else 1.0,
        colour_distance=float(np.abs(colours).mean()),
    )


class _Detail(NamedTuple):
    grey: Image.Image
    """320 x 320, stretched."""
    coloured: Image.Image
    """RGB, 96 x 96."""


@lru_cache(maxsize=1024)
def _detail(path: Path) -> _Detail:
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    fine, coloured = (picture.resize((side, side), Image.Resampling.BOX) for side in (_DETAIL, _COLOURED))
    return _Detail(fine.convert("L"), coloured)


def _align(
    part: Image.Image, whole: Image.Image, sides: Sides, scales: Sequence[tuple[int, int]]
) -> tuple[Sides, float]:
    """Moves the four sides of the window in `whole` until it shows what `part` shows.

    Args:
        part: Grey.
        whole: Grey.
        sides: Where to begin.
        scales: (Pixels squared, steps), coarse to fine.

    Returns:
        The best sides and their correlation at the last scale.
    """
    best, best_correlation = sides, -1.0
    for num, num_steps in scales:
        ours = _cut(part, ALL, num)
        best_correlation = -1.0
        sides = best
        for _ in range(num_steps):
            theirs = _cut(whole, sides, num)
            correlation = _correlation(ours, theirs)
            if correlation > best_correlation:
                best, best_correlation = sides, correlation
            sides = _step(ours, theirs, sides)
    return best, best_correlation


def _step(ours: Floats, theirs: Floats, sides: Sides) -> Sides:
    """One Gauss-Newton step: how far each side has to go for `theirs` to become `ours`."""
    num = len(ours)
    down, right_of = np.gradient(theirs)
    place = (np.arange(num) + 0.5) / num
    slopes = np.stack(
        [right_of * (1 - place), right_of * place, down * (1 - place)[:, None], down * place[:, None]]
    ).reshape(4, -1)
    gain = ours.std() / (theirs.std() + 1e-6)
    error = ((ours - ours.mean()) / (gain + 1e-6) - (theirs - theirs.mean())).reshape(-1)
    normal = np.einsum("ip,jp->ij", slopes, slopes)
    towards = (slopes * error).sum(axis=1)
    moves = np.linalg.solve(normal + np.eye(4) * (1e-3 * np.trace(normal) + 1e-6), towards) / num
    left, right, top, bottom = sides
    width, height = right - left, bottom - top
    moved = (
        left + moves[0] * width,
        right + moves[1] * width,
        top + moves[2] * height,
        bottom + moves[3] * height,
    )
    low, high = (0.0, _MAX_CUT), (1.0 - _MAX_CUT, 1.0)
    limits = (low, high, low, high)
    a, b, c, d = (float(np.clip(side, *limit)) for side, limit in zip(moved, limits, strict=True))
    return a, b, c, d


def _cut(picture: Image.Image, sides: Sides, num: int) -> Floats:
    """A window of the picture as num x num pixels."""
    left, right, top, bottom = sides
    width, height = picture.size
    box = (left * width, top * height, right * width, bottom * height)
    return np.asarray(picture.resize((num, num), Image.Resampling.BILINEAR, box=box), dtype=np.float32)


def _correlation(ours: Floats, theirs: Floats) -> float:
    a, b = ours - ours.mean(), theirs - theirs.mean()
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum() + 1e-6))


def _block_correlations(ours: Floats, theirs: Floats, num: int = 6) -> list[float]:
    """Of num x num blocks, those in which either shows anything."""
    size = len(ours) // num
    blocks = [
        (ours[y : y + size, x : x + size], theirs[y : y + size, x : x + size])
        for y in range(0, size * num, size)
        for x in range(0, size * num, size)
    ]
    floor = max(8.0, 0.4 * float(max(ours.std(), theirs.std())))
    return [_correlation(a, b) for a, b in blocks if max(a.std(), b.std()) > floor]

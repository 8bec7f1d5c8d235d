"""Whether two pictures are one and the same: one is laid into the other and compared in detail."""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spica.dataset.placing import ALL, correlations, cut, laid_over, place
from spica.dataset.prints import FLAT, Floats

MIN_CORRELATION = 0.9
"""Of 192 pixels squared. Drawn plants (tests/bench) have at least 0.94, charts with other numbers 0.98."""
MIN_BLOCK_CORRELATION = 0.93
"""Reached by 95 % of 6 x 6 and of 8 x 8 blocks and by 90 % of 12 x 12, of those that show anything, both
pictures smoothed: tables share their grids and plots their axes, and bars of one height differ in numbers.
Drawn plants have at least 0.96, charts and tables of one layout at most 0.91."""
MAX_COLOUR_DISTANCE = 20.0
"""Mean absolute difference of aligned pictures, of 255."""

_DETAIL = 256
_COLOURED = 96
_FINE = 192


class Likeness(NamedTuple):
    """How alike two pictures are once one is laid into the other."""

    correlation: float
    block_correlation: float = 1.0
    colour_distance: float = 255.0

    @property
    def same(self) -> bool:
        """One and the same picture."""
        return (
            self.correlation >= MIN_CORRELATION
            and self.block_correlation >= MIN_BLOCK_CORRELATION
            and self.colour_distance <= MAX_COLOUR_DISTANCE
        )


def likeness(part: Path, whole: Path, sides: Floats = ALL) -> Likeness:
    """How alike a picture is to a window of another one.

    Args:
        part: A picture file.
        whole: Another one.
        sides: Shape (1, 4), where in it the part lies, roughly.

    Raises:
        OSError: One of them cannot be read.
    """
    one, other = _detail(part), _detail(whole)
    best, like = ALL, Likeness(1.0)
    if max(np.ptp(one.grey), np.ptp(other.grey)) >= FLAT:  # else colour alone can tell
        ours, theirs = (each.grey[None].astype(np.float32) for each in (one, other))
        best, found = place(ours, theirs, sides, _FINE, 6)
        ours, theirs = laid_over(ours, theirs, best, _FINE)
        ours, theirs = _smoothed(ours), _smoothed(theirs)
        blocks = min(float(reached(ours, theirs, *each)[0]) for each in ((6, 5), (8, 5), (12, 10)))
        like = Likeness(float(found[0]), blocks)
        if not like._replace(colour_distance=0.0).same:
            return like
    colours = cut(one.coloured.astype(np.float32), np.repeat(ALL, 3, axis=0), _COLOURED)
    colours -= cut(other.coloured.astype(np.float32), np.repeat(best, 3, axis=0), _COLOURED)
    return like._replace(colour_distance=float(np.abs(colours).mean()))


class _Detail(NamedTuple):
    grey: NDArray[np.uint8]
    """Shape (256, 256), stretched."""
    coloured: NDArray[np.uint8]
    """Shape (3, 96, 96)."""


@lru_cache(maxsize=1024)
def _detail(path: Path) -> _Detail:
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    # Not by boxes: where few pixels become more, those move hair lines by half of one.
    fine = picture.resize((_DETAIL, _DETAIL), Image.Resampling.BILINEAR)
    coloured = fine.resize((_COLOURED, _COLOURED), Image.Resampling.BILINEAR)
    return _Detail(np.asarray(fine.convert("L")), np.asarray(coloured).transpose(2, 0, 1))


def _smoothed(pictures: Floats) -> Floats:
    """Binomial over 3 x 3 pixels: a thin line that falls between pixels otherwise looks like another one."""
    padded = np.pad(pictures, ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows = padded[:, :-2] + 2.0 * padded[:, 1:-1] + padded[:, 2:]
    smooth: Floats = (rows[:, :, :-2] + 2.0 * rows[:, :, 1:-1] + rows[:, :, 2:]) / 16.0
    return smooth


def reached(ours: Floats, theirs: Floats, num: int, percentile: int) -> Floats:
    """Shape (n,): a percentile of the correlations of num x num blocks, of those that show anything.

    Args:
        ours: Grey pixels, shape (n, height, width).
        theirs: The same of pictures laid over them.
        num: Blocks per side.
        percentile: 0 is the worst block.
    """
    size = ours.shape[1] // num
    mine, other = (
        each.reshape(-1, num, size, num, size).transpose(0, 1, 3, 2, 4).reshape(-1, size, size)
        for each in (ours, theirs)
    )
    floor = np.maximum(8.0, 0.4 * np.maximum(ours.std(axis=(1, 2)), theirs.std(axis=(1, 2))))
    spread = np.maximum(mine.std(axis=(1, 2)), other.std(axis=(1, 2))).reshape(-1, num * num)
    shown = spread > floor[:, None]
    found = np.where(shown, correlations(mine, other).reshape(-1, num * num), 1.0)
    found.sort(axis=1)  # blocks that show nothing come last
    last = np.maximum(shown.sum(axis=1) - 1, 0)
    at = percentile / 100 * last
    low = np.floor(at).astype(np.intp)
    rows = np.arange(len(ours))
    below, above = found[rows, low], found[rows, np.minimum(low + 1, last)]
    reached: Floats = below + (at - low) * (above - below)
    return reached

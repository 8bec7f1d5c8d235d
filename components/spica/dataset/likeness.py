"""Whether two pictures are one and the same: one is laid into the other and compared in detail."""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spica.dataset.placing import ALL, correlations, cut, halved, place
from spica.dataset.prints import FLAT, Floats

MIN_CORRELATION = 0.78
"""Of 192 pixels squared, where pages of print that share their lines alone have 0.75 at most."""
MIN_BLOCK_CORRELATION = 0.795
"""Reached by 95 % of 6 x 6 and of 8 x 8 blocks and by 90 % of 12 x 12, of those that show anything, both
pictures smoothed: tables share their grids and plots their axes, and bars of one height differ in numbers."""
MAX_COLOUR_DISTANCE = 20.0
"""Mean absolute difference of aligned pictures, of 255."""

MIN_COARSE_CORRELATION = 0.72
MIN_COARSE_BLOCK_CORRELATION = 0.4
"""Of 96 pixels squared, below which nobody looks closer."""

_DETAIL = 256
_COLOURED = 96
_COARSE, _FINE = 96, 192


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
        sides: Shape (n, 4), where in it the part lies, roughly; the best of several places counts.

    Raises:
        OSError: One of them cannot be read.
    """
    one, other = _detail(part), _detail(whole)
    best, like = ALL, Likeness(1.0)
    if max(np.ptp(one.grey), np.ptp(other.grey)) >= FLAT:  # else colour alone can tell
        ours, theirs = (each.grey[None].astype(np.float32) for each in (one, other))
        best, correlation = _coarsely(halved(ours), halved(theirs), sides)
        if correlation < MIN_COARSE_CORRELATION:
            return Likeness(correlation)
        best, found, _ = place(ours, theirs, best, _FINE, 6)
        smooth = _smoothed(cut(ours, ALL, _FINE)), _smoothed(cut(theirs, best, _FINE))
        blocks = min(reached(*smooth, *each) for each in ((6, 5), (8, 5), (12, 10)))
        like = Likeness(float(found[0]), blocks)
        if not like._replace(colour_distance=0.0).same:
            return like
    colours = cut(one.coloured.astype(np.float32), np.repeat(ALL, 3, axis=0), _COLOURED)
    colours -= cut(other.coloured.astype(np.float32), np.repeat(best, 3, axis=0), _COLOURED)
    return like._replace(colour_distance=float(np.abs(colours).mean()))


def _coarsely(ours: Floats, theirs: Floats, sides: Floats) -> tuple[Floats, float]:
    """The best place, shape (1, 4), and the correlation there; -1 where too many blocks differ."""
    num = len(sides)
    places, found, _ = place(ours.repeat(num, axis=0), theirs.repeat(num, axis=0), sides, _COARSE, 8)
    best = places[[found.argmax()]]
    worst = reached(cut(ours, ALL, _COARSE), cut(theirs, best, _COARSE), 8, 5)
    return best, float(found.max()) if worst >= MIN_COARSE_BLOCK_CORRELATION else -1.0


class _Detail(NamedTuple):
    grey: NDArray[np.uint8]
    """Shape (256, 256), stretched."""
    coloured: NDArray[np.uint8]
    """Shape (3, 96, 96)."""


@lru_cache(maxsize=1024)
def _detail(path: Path) -> _Detail:
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    fine, coloured = (picture.resize((side, side), Image.Resampling.BOX) for side in (_DETAIL, _COLOURED))
    return _Detail(np.asarray(fine.convert("L")), np.asarray(coloured).transpose(2, 0, 1))


def _smoothed(pictures: Floats) -> Floats:
    """Binomial over 3 x 3 pixels: a thin line that falls between pixels otherwise looks like another one."""
    padded = np.pad(pictures, ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows = padded[:, :-2] + 2.0 * padded[:, 1:-1] + padded[:, 2:]
    smooth: Floats = (rows[:, :, :-2] + 2.0 * rows[:, :, 1:-1] + rows[:, :, 2:]) / 16.0
    return smooth


def reached(ours: Floats, theirs: Floats, num: int, percentile: int) -> float:
    """A percentile of the correlations of num x num blocks, of those in which either shows anything.

    Args:
        ours: Grey pixels, shape (1, height, width).
        theirs: The same of a picture laid over it.
        num: Blocks per side.
        percentile: 0 is the worst block.
    """
    size = ours.shape[1] // num
    mine, other = (
        each.reshape(num, size, num, size).transpose(0, 2, 1, 3).reshape(-1, size, size)
        for each in (ours, theirs)
    )
    floor = max(8.0, 0.4 * float(max(ours.std(), theirs.std())))
    shown = np.maximum(mine.std(axis=(1, 2)), other.std(axis=(1, 2))) > floor
    if not shown.any():
        return 1.0
    return float(np.percentile(correlations(mine[shown], other[shown]), percentile))

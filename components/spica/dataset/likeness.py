"""Whether two pictures are one and the same: one is laid into the other and compared in detail."""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spica.dataset.placing import ALL, correlations, cut, place
from spica.dataset.prints import FLAT, Floats

MIN_CORRELATION = 0.82
MIN_BLOCK_CORRELATION = 0.75
"""Reached by 80 % of 6 x 6 blocks that show anything; tables that share their lines alone have less, but for
those with few small digits in just the same grid (0.8): these are taken for one another."""
MIN_WORST_CORRELATION = 0.55
"""Reached by 95 % of 8 x 8 blocks: plots share grid and axes in most blocks, but not their curves."""
MAX_COLOUR_DISTANCE = 20.0
"""Mean absolute difference of aligned pictures, of 255."""

MIN_COARSE_CORRELATION = 0.65
MIN_COARSE_WORST_CORRELATION = 0.3
"""Of 96 pixels squared, below which nobody looks closer."""

_DETAIL = 256
_COLOURED = 96
_COARSE, _FINE = 96, 192


class Likeness(NamedTuple):
    """How alike two pictures are once one is laid into the other."""

    correlation: float
    block_correlation: float
    worst_correlation: float
    colour_distance: float

    @property
    def same(self) -> bool:
        """One and the same picture."""
        return (
            self.correlation >= MIN_CORRELATION
            and self.block_correlation >= MIN_BLOCK_CORRELATION
            and self.worst_correlation >= MIN_WORST_CORRELATION
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
    best, correlation, block, worst = ALL, 1.0, 1.0, 1.0
    if max(np.ptp(one.grey), np.ptp(other.grey)) >= FLAT:  # else colour alone can tell
        ours, theirs = (
            np.broadcast_to(each.grey.astype(np.float32), (len(sides), _DETAIL, _DETAIL))
            for each in (one, other)
        )
        places, found = place(ours, theirs, sides, ((_COARSE, 4),))
        best, correlation = places[[found.argmax()]], float(found.max())
        block, worst = _of_blocks(cut(ours[:1], ALL, _COARSE), cut(theirs[:1], best, _COARSE))
        if correlation < MIN_COARSE_CORRELATION or worst < MIN_COARSE_WORST_CORRELATION:
            return Likeness(correlation, block, worst, 255.0)
        best, found = place(ours[:1], theirs[:1], best, ((_FINE, 3),))
        correlation = float(found[0])
        block, worst = _of_blocks(cut(ours[:1], ALL, _FINE), cut(theirs[:1], best, _FINE))
    colours = cut(one.coloured.astype(np.float32), np.repeat(ALL, 3, axis=0), _COLOURED)
    colours -= cut(other.coloured.astype(np.float32), np.repeat(best, 3, axis=0), _COLOURED)
    return Likeness(correlation, block, worst, float(np.abs(colours).mean()))


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


def _of_blocks(ours: Floats, theirs: Floats) -> tuple[float, float]:
    """What 80 % of 6 x 6 blocks reach, and 95 % of 8 x 8."""
    return reached(ours, theirs, 6, 20), reached(ours, theirs, 8, 5)


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

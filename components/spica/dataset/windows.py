"""Where in a picture another one may lie: all windows of a grid are tried, at 32 pixels squared.

Each side is cut by 1, 4, 7, 10 or 13 %, so that one of the 625 windows has each side of a crop by up to 14 %
to within 1.5 %, half of such a pixel. Only those of the part's proportions count. placing.py takes it
from there.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spica.dataset.prints import Floats, Near, Places, Prints, averages, batches, halved

MIN_CORRELATION = 0.6
MAX_WINDOWS, MAX_LOSS = 8, 0.04
"""Of a pair that are looked at closer, and by how much worse than the best one they may fit, beside what that
one itself leaves: lines of print repeat, and along a line a window fits everywhere."""

_CUTS = (0.01, 0.04, 0.07, 0.10, 0.13)
_SPANS = [(start, 1.0 - end) for start in _CUTS for end in _CUTS]
_SIDES = np.array([(*across, *down) for across in _SPANS for down in _SPANS], dtype=np.float32)
_NUM = 32
_BATCH = 100
"""Pairs that make one task."""
MAX_STRETCH = 0.13
"""A logarithm, since a crop keeps its proportions: 0.07 that a window may be off, 0.035 a direction, and as
much again for rounding and slack. A placed one needs it too: along a single line it was off by 0.104 once."""
_MIN_VARIANCE = 0.01
"""Of grey squared, below which nothing is drawn in a window; three letters on a white page have more."""


class Windows(NamedTuple):
    """Windows of wholes in which parts may lie; a pair may have several. All arrays have one length."""

    part: Places
    whole: Places
    sides: Floats
    """Shape (n, 4): left, right, top, bottom as shares of the whole."""


def windows(parts: Prints, wholes: Prints, pairs: Near, pool: ThreadPoolExecutor) -> Windows:
    """The likely ones of each pair; none where nothing fits."""
    order = np.argsort(pairs.whole, kind="stable")
    ours, theirs = pairs.part[order], pairs.whole[order]
    of_wholes = np.split(np.arange(len(order)), np.flatnonzero(np.diff(theirs)) + 1)

    def task(those: Sequence[Places]) -> tuple[Places, Places]:
        fits = [
            _fits(halved(parts.greys[ours[each]]), halved(wholes.greys[theirs[each[:1]]])[0])
            for each in those
        ]
        rows = np.concatenate(those)
        aspects = parts.aspects[ours[rows]][:, None], wholes.aspects[theirs[rows]][:, None]
        stretched = stretch(_SIDES, *aspects) > MAX_STRETCH
        row, window = _best(np.where(stretched, -1.0, np.concatenate(fits)))
        return rows[row], window

    none = np.zeros(0, np.intp)
    tasks = batches((each for each in of_wholes if len(each)), len, _BATCH)
    row, window = (np.concatenate(each) for each in zip((none, none), *pool.map(task, tasks), strict=True))
    return Windows(ours[row], theirs[row], _SIDES[window])


def stretch(sides: Floats, ours: Floats, theirs: Floats) -> Floats:
    """Shape (n,): by how much a window, shape (n, 4), is stretched to become the part, a logarithm.

    Args:
        sides: Windows.
        ours: Aspects of the parts.
        theirs: Those of the wholes.
    """
    across, down = sides[:, 1] - sides[:, 0], sides[:, 3] - sides[:, 2]
    factors: Floats = np.abs(np.log(ours / theirs * down / across))
    return factors


def _fits(parts: Floats, whole: Floats) -> Floats:
    """Shape (n, 625): correlations of each part, shape (n, 64, 64), with each window.

    No window is cut out: with D and A the averages of a span down and across, <look, D whole A'> is
    <D' look, whole A'>, and <D whole A', D whole A'> is <D'D whole, whole A'A>, so that of both a product of
    all spans down and all spans across is left.
    """
    all_of_it, rows, squares = _averages()
    looks = all_of_it @ parts @ all_of_it.T
    looks -= looks.mean(axis=(1, 2), keepdims=True)
    looks /= np.linalg.norm(looks, axis=(1, 2), keepdims=True) + 1e-3
    whole = whole - whole.mean()
    down = rows.transpose(0, 2, 1).reshape(-1, _NUM) @ looks
    across = whole @ rows.transpose(0, 2, 1)
    fits = down.reshape(len(parts), len(_SPANS), -1) @ across.reshape(len(_SPANS), -1).T
    sums = (squares @ whole).reshape(len(_SPANS), -1) @ (whole @ squares).reshape(len(_SPANS), -1).T
    means = rows.mean(axis=1) @ whole @ rows.mean(axis=1).T
    variances = np.maximum(sums / _NUM**2 - means**2, _MIN_VARIANCE)
    found: Floats = fits / (np.sqrt(variances) * _NUM)  # by spans down, then across
    return found.transpose(0, 2, 1).reshape(len(parts), -1)


def _best(fits: Floats) -> tuple[Places, Places]:
    """Rows and windows: the best one, then the best of those that are no neighbours, while nearly as good."""
    rows = np.arange(len(fits))
    best = fits.max(axis=1)
    least = np.maximum(MIN_CORRELATION, best - MAX_LOSS - (1.0 - best))
    found = []
    for _ in range(MAX_WINDOWS):
        window = fits.argmax(axis=1)
        good = fits[rows, window] >= least
        found.append((rows[good], window[good]))
        fits = np.where(_neighbours()[window], -1.0, fits)
    row, window = (np.concatenate(each) for each in zip(*found, strict=True))
    return row, window


@cache
def _neighbours() -> NDArray[np.bool_]:
    """Shape (625, 625): no side is more than one cut apart."""
    cuts = np.indices((len(_CUTS),) * 4).reshape(4, -1).T
    near: NDArray[np.bool_] = np.abs(cuts[:, None] - cuts[None]).max(axis=2) <= 1
    return near


@cache
def _averages() -> tuple[Floats, Floats, Floats]:
    """Area averages of all 64 pixels, shape (32, 64), R of each span, (25, 32, 64), and R'R, (25, 64, 64)."""
    rows = np.stack([averages(*span, _NUM) for span in _SPANS]).astype(np.float32)
    return averages(0.0, 1.0, _NUM).astype(np.float32), rows, rows.transpose(0, 2, 1) @ rows

"""Prints by which a picture is found in another one, among many.

A *print* is the lowest 8 x 8 cosines of a picture, as in a pHash but unrounded, of length 1; two prints are
as alike as their product. Of the picture that may contain the other one, 81 windows are printed whose four
sides are cut by 2, 7 or 12 %, so that some window has each side of a crop by up to 14 % to within 2.5 %. How
much such a remainder costs depends on the picture, little on a photograph and much on a table, so each has a
bound of its own: how alike its windows are to one that is off by as much. That misses few, but takes some
charts and tables for each other: placing.py and likeness.py look closer.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float32]
Places = NDArray[np.intp]

SIDE = 64
"""Pictures are printed from so many grey pixels squared, stretched to a square."""
CUTS = (0.02, 0.07, 0.12)
FLAT = 10
"""Range of grey, of 255, below which nothing is drawn; JPEG alone gives less, a thin line more."""

_LOW = 8
_REST = 0.025
"""What a crop may be off its window: half of the step between cuts."""
_NOISE = 0.04
"""Likeness that JPEG of quality 30 and the rounding of a crop's sides to pixels cost beside that."""
_MIN_BOUND, _MAX_BOUND = 0.6, 0.92
_FINE_BOUND, _NUM_FINE = 0.82, 12
_BLOCK = 16
_PAIRS = [(start, 1.0 - end) for start in CUTS for end in CUTS]
_MIDDLE = [(0.07, 0.93)] + [(0.07 + a, 0.93 + b) for a in (-_REST, _REST) for b in (-_REST, _REST)]


class Prints(NamedTuple):
    """Those of many pictures."""

    greys: NDArray[np.uint8]
    """Shape (n, 64, 64)."""
    lows: Floats
    """Shape (n, 63): cosines of whole pictures but the mean; zeros where nothing is drawn."""


class Near(NamedTuple):
    """Likely windows: a pair of pictures has several; all arrays have their number as first side."""

    part: Places
    whole: Places
    sides: Floats
    """Shape (n, 4): left, right, top, bottom as shares of the whole."""


def prints_of(paths: Sequence[Path], pool: ThreadPoolExecutor) -> Prints:
    """The prints of picture files; Pillow decodes outside of Python's lock.

    Raises:
        OSError: One cannot be read.
    """
    greys = np.zeros((len(paths), SIDE, SIDE), dtype=np.uint8)
    for i, grey in enumerate(pool.map(_grey, paths)):
        greys[i] = grey
    lows = np.zeros((len(paths), _LOW * _LOW - 1), dtype=np.float32)
    for start in range(0, len(paths), 256):
        lows[start : start + 256] = _cosines(greys[start : start + 256], ((0.0, 1.0),))[:, 0]
    lows[np.ptp(greys, axis=(1, 2)) < FLAT] = 0.0
    return Prints(greys, lows)


def _grey(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as picture:
        picture.draft("L", (2 * SIDE, 2 * SIDE))  # a JPEG file is decoded no larger than needed
        return np.asarray(picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX))


def near(
    parts: Prints, wholes: Prints, asked: Iterable[tuple[Places, Places]], pool: ThreadPoolExecutor
) -> Near:
    """Pairs in which a window of the one picture is like the whole of the other.

    Args:
        parts: What may be contained.
        wholes: What may contain it.
        asked: Places of parts and places of wholes, each with each; cheap where few wholes are named twice.
        pool: Where it is computed.
    """

    def blocks() -> Iterator[tuple[Places, Places]]:
        for those_parts, those_wholes in asked:
            for start in range(0, len(those_wholes), _BLOCK):
                yield those_parts, those_wholes[start : start + _BLOCK]

    none = Near(np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros((0, 4), np.float32))
    found = [none, *pool.map(lambda block: _near(parts, wholes, *block), blocks())]
    part, whole = (np.concatenate([each[k] for each in found]) for k in (0, 1))
    sides = np.concatenate([each.sides for each in found])
    first = np.unique(np.column_stack([part, whole, sides]), axis=0, return_index=True)[1]
    return Near(part[first], whole[first], sides[first])


def _near(parts: Prints, wholes: Prints, those_parts: Places, those_wholes: Places) -> Near:
    greys, lows = wholes.greys[those_wholes], parts.lows[those_parts]
    windows = _cosines(greys, _PAIRS)
    likenesses = (windows.reshape(-1, windows.shape[2]) @ lows.T).reshape(*windows.shape[:2], -1)
    both_flat = np.logical_not(np.logical_or.outer(wholes.lows[those_wholes].any(axis=1), lows.any(axis=1)))
    bounds = _bounds(greys)
    i, j = np.nonzero((likenesses.max(axis=1) >= bounds[:, None]) | both_flat)
    pair, window = _likely_windows(likenesses[i, :, j], bounds[i])
    spans = np.array(_PAIRS, dtype=np.float32)
    sides = np.concatenate([spans[window % len(_PAIRS)], spans[window // len(_PAIRS)]], axis=1)
    return Near(those_parts[j[pair]], those_wholes[i[pair]], sides)


def _likely_windows(likenesses: Floats, bounds: Floats) -> tuple[Places, Places]:
    """Rows and windows: the most similar ones for each upper and each left side, since tables repeat.

    Fine structure makes a window's neighbours poor guides: such pictures get more of the most similar ones.
    """
    num = len(CUTS)
    windows = np.arange(num**4).reshape((num,) * 4)  # top, bottom, left, right
    chosen = np.zeros(likenesses.shape, dtype=bool)
    rows = np.arange(len(likenesses))
    for those in (*windows.reshape(num, -1), *windows.transpose(2, 0, 1, 3).reshape(num, -1)):
        chosen[rows, those[likenesses[:, those].argmax(axis=1)]] = True
    fine = rows[bounds < _FINE_BOUND]
    chosen[fine[:, None], np.argpartition(-likenesses[fine], _NUM_FINE, axis=1)[:, :_NUM_FINE]] = True
    row, window = np.nonzero(chosen)
    return row, window


def _bounds(greys: NDArray[np.uint8]) -> Floats:
    """Shape (n,): how alike the picture of a window is to it at least."""
    windows = _cosines(greys, _MIDDLE).reshape(len(greys), len(_MIDDLE), len(_MIDDLE), -1)
    shifted, middle = windows[:, 1:, 1:].reshape(len(greys), -1, windows.shape[3]), windows[:, 0, 0]
    least = (shifted * middle[:, None]).sum(axis=2).min(axis=1)
    bounds: Floats = np.clip(least - _NOISE, _MIN_BOUND, _MAX_BOUND)
    return bounds


def _cosines(greys: NDArray[np.uint8], pairs: Sequence[tuple[float, float]]) -> Floats:
    """Shape (n, pairs squared, 63): the lowest cosines, but the mean, of each window, of length 1.

    All windows at once, since cutting, averaging and transforming are linear.
    """
    operator = _operator(tuple(pairs)).reshape(-1, SIDE)  # pairs times cosines
    both = operator @ greys.astype(np.float32) @ operator.T
    num = len(pairs)
    flat = both.reshape(-1, num, _LOW, num, _LOW).transpose(0, 1, 3, 2, 4).reshape(len(greys), num * num, -1)
    rest = flat[:, :, 1:]
    units: Floats = rest / (np.linalg.norm(rest, axis=2, keepdims=True) + 1e-6)
    return units


@cache
def _operator(pairs: tuple[tuple[float, float], ...]) -> Floats:
    """Shape (pairs, 8, 64): for each span, area averages to 64 samples, then their 8 lowest cosines."""
    sample = np.arange(SIDE)
    cosines = np.array([np.cos(np.pi * (sample + 0.5) * k / SIDE) for k in range(_LOW)])
    return np.stack([cosines @ _averages(*pair) for pair in pairs]).astype(np.float32)


def _averages(start: float, end: float) -> NDArray[np.float64]:
    edges = np.linspace(start * SIDE, end * SIDE, SIDE + 1)
    pixels = np.arange(SIDE)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    averages: NDArray[np.float64] = np.clip(overlap, 0.0, None) / (edges[1] - edges[0])
    return averages

"""Prints by which a picture is found in another one, among many.

A *print* is the lowest 8 x 8 cosines of a picture, as in a pHash but unrounded, of length 1; two prints are
as alike as their product. Of the picture that may contain the other one, 81 windows are printed whose four
sides are cut by 2, 7 or 12 %, so that some window has each side of a crop by up to 14 % to within 2.5 %. How
much such a remainder costs depends on the picture, little on a photograph and much on a table, so each has a
bound of its own: how alike its windows are to one that is off by as much. That misses few, but takes some
charts and tables for each other: windows.py, placing.py and likeness.py look closer.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float32]
Places = NDArray[np.intp]
Group = TypeVar("Group")

SIDE = 128
"""Pictures are kept as so many grey pixels squared, stretched to a square."""
CUTS = (0.02, 0.07, 0.12)
FLAT = 10
"""Range of grey, of 255, below which nothing is drawn; JPEG alone gives less, a thin line more."""

MAX_RATIO = 1.51
"""Of proportions: a crop by 13 % at both ends of one direction alone makes 1 / 0.74; rounding and what a
window may be off beside that (windows.py)."""

_HALF = SIDE // 2
"""They are printed from so many."""
_LOW = 8
_REST = 0.025
"""What a crop may be off its window: half of the step between cuts."""
_NOISE = 0.04
"""Likeness that JPEG of quality 30 and the rounding of a crop's sides to pixels cost beside that."""
_MIN_BOUND, _MAX_BOUND = 0.6, 0.92
_GROUP, _BATCH = 16, 64
"""Wholes that are compared with the same parts at once, and those of all groups that make one task."""
_PAIRS = [(start, 1.0 - end) for start in CUTS for end in CUTS]
_MIDDLE = [(0.07, 0.93)] + [(0.07 + a, 0.93 + b) for a in (-_REST, _REST) for b in (-_REST, _REST)]


class Prints(NamedTuple):
    """Those of many pictures."""

    greys: NDArray[np.uint8]
    """Shape (n, 128, 128)."""
    lows: Floats
    """Shape (n, 63): cosines of whole pictures but the mean; zeros where nothing is drawn."""
    aspects: Floats
    """Shape (n,): width / height, before stretching."""


class Near(NamedTuple):
    """Pairs of pictures, each once: places of the one and of the other, both of shape (n,)."""

    part: Places
    whole: Places


def prints_of(paths: Sequence[Path], pool: ThreadPoolExecutor) -> Prints:
    """The prints of picture files; Pillow decodes outside of Python's lock.

    Raises:
        OSError: One cannot be read.
    """
    greys = np.zeros((len(paths), SIDE, SIDE), dtype=np.uint8)
    aspects = np.ones(len(paths), dtype=np.float32)
    for i, (grey, aspect) in enumerate(pool.map(_grey, paths)):
        greys[i], aspects[i] = grey, aspect
    lows = np.zeros((len(paths), _LOW * _LOW - 1), dtype=np.float32)
    for start in range(0, len(paths), 256):
        lows[start : start + 256] = _cosines(greys[start : start + 256], ((0.0, 1.0),))[:, 0]
    lows[np.ptp(greys, axis=(1, 2)) < FLAT] = 0.0
    return Prints(greys, lows, aspects)


def _grey(path: Path) -> tuple[NDArray[np.uint8], float]:
    with Image.open(path) as picture:
        aspect = picture.width / picture.height
        picture.draft("L", (2 * SIDE, 2 * SIDE))  # a JPEG file is decoded no larger than needed
        return np.asarray(picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR)), aspect


def near(
    parts: Prints, wholes: Prints, asked: Iterable[tuple[Places, Places]], pool: ThreadPoolExecutor
) -> Near:
    """Pairs in which a window of the one picture is like the whole of the other, and has its proportions.

    Args:
        parts: What may be contained.
        wholes: What may contain it.
        asked: Places of parts and places of wholes, each with each; cheap where few wholes are named twice.
        pool: Where it is computed.
    """

    def groups() -> Iterator[tuple[Places, Places]]:
        for those_parts, those_wholes in asked:
            those_parts = those_parts[np.argsort(parts.aspects[those_parts], kind="stable")]
            those_wholes = those_wholes[np.argsort(wholes.aspects[those_wholes], kind="stable")]
            aspects = parts.aspects[those_parts]
            for start in range(0, len(those_wholes), _GROUP):
                group = those_wholes[start : start + _GROUP]
                first = np.searchsorted(aspects, wholes.aspects[group[0]] / MAX_RATIO)
                last = np.searchsorted(aspects, wholes.aspects[group[-1]] * MAX_RATIO, "right")
                if first < last:
                    yield those_parts[first:last], group

    none = np.zeros(0, np.intp)
    tasks = batches(groups(), lambda group: len(group[1]), _BATCH)
    found = [Near(none, none), *pool.map(lambda those: _near(parts, wholes, those), tasks)]
    each = np.unique(np.concatenate([np.column_stack(pairs) for pairs in found]), axis=0)
    ratios = np.abs(np.log(parts.aspects[each[:, 0]] / wholes.aspects[each[:, 1]]))
    each = each[ratios < np.log(MAX_RATIO)]
    return Near(each[:, 0], each[:, 1])


def batches(groups: Iterable[Group], size: Callable[[Group], int], enough: int) -> Iterator[list[Group]]:
    """Groups as tasks of `enough` in all: in calls for one picture each, threads wait for one another."""
    batch: list[Group] = []
    held = 0
    for group in groups:
        batch.append(group)
        held += size(group)
        if held >= enough:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def halved(greys: NDArray[np.uint8]) -> Floats:
    """Half as many pixels a side, from shape (n, 128, 128) to (n, 64, 64)."""
    rows = greys[:, ::2].astype(np.uint16) + greys[:, 1::2]
    half: Floats = (rows[:, :, ::2] + rows[:, :, 1::2]).astype(np.float32) * np.float32(0.25)
    return half


def _near(parts: Prints, wholes: Prints, groups: Sequence[tuple[Places, Places]]) -> Near:
    greys = wholes.greys[np.concatenate([those_wholes for _, those_wholes in groups])]
    windows = np.split(_cosines(greys, _PAIRS), np.cumsum([len(wholes) for _, wholes in groups])[:-1])
    best = [
        (each @ parts.lows[those].T).max(axis=1) for each, (those, _) in zip(windows, groups, strict=True)
    ]
    bounds = np.ones(len(greys), dtype=np.float32)
    likely = np.concatenate([each.max(axis=1) for each in best]) >= _MIN_BOUND  # of most pictures none is
    if likely.any():
        bounds[likely] = _bounds(greys[likely])
    found, start = [], 0
    for each, (those_parts, those_wholes) in zip(best, groups, strict=True):
        drawn = wholes.lows[those_wholes].any(axis=1), parts.lows[those_parts].any(axis=1)
        both_flat = np.logical_not(np.logical_or.outer(*drawn))
        i, j = np.nonzero((each >= bounds[start : start + len(each), None]) | both_flat)
        found.append(Near(those_parts[j], those_wholes[i]))
        start += len(each)
    return Near(*(np.concatenate(each) for each in zip(*found, strict=True)))


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
    operator = _operator(tuple(pairs)).reshape(-1, _HALF)  # pairs times cosines
    both = operator @ halved(greys) @ operator.T
    num = len(pairs)
    flat = both.reshape(-1, num, _LOW, num, _LOW).transpose(0, 1, 3, 2, 4).reshape(len(greys), num * num, -1)
    rest = flat[:, :, 1:]
    units: Floats = rest / (np.linalg.norm(rest, axis=2, keepdims=True) + 1e-6)
    return units


@cache
def _operator(pairs: tuple[tuple[float, float], ...]) -> Floats:
    """Shape (pairs, 8, 64): for each span, area averages to 64 samples, then their 8 lowest cosines."""
    sample = np.arange(_HALF)
    cosines = np.array([np.cos(np.pi * (sample + 0.5) * k / _HALF) for k in range(_LOW)])
    return np.stack([cosines @ averages(*pair, _HALF) for pair in pairs]).astype(np.float32)


def averages(start: float, end: float, num: int) -> NDArray[np.float64]:
    """Shape (num, 64): of a span of 64 pixels, area averages."""
    edges = np.linspace(start * _HALF, end * _HALF, num + 1)
    pixels = np.arange(_HALF)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    averages: NDArray[np.float64] = np.clip(overlap, 0.0, None) / (edges[1] - edges[0])
    return averages

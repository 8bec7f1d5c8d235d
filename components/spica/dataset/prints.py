"""Perceptual hashes that find a picture in another one, among many.

A *print* is a pHash (signs of the lowest 8 x 8 cosines around their median) of the whole picture and of 625
windows into it, whose four sides are cut by up to 14 %. Two pictures may be one when the whole of
either is near some window of the other, first by bits, then by the cosines themselves. That misses few, but
takes some bar charts and tables for each other: likeness.py looks closer.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float32]
Hashes = NDArray[np.uint64]
Sides = tuple[float, float, float, float]
"""Left, right, top, bottom of a window, as shares of the picture."""

SIDE = 64
"""Pictures are hashed from so many grey pixels squared, stretched to a square."""
CUTS = (0.0, 0.035, 0.07, 0.105, 0.14)
MAX_DISTANCE = 16
"""Bits of 64, of crops by up to 14 % per side and JPEG of quality 30."""
MIN_SIMILARITY = 0.8
"""Of the cosines; 1 is the same."""
FLAT = 3.0
"""Standard deviation of grey below which nothing is drawn."""

_LOW = 8
_SAMPLES = 16
_NUM_WINDOWS = 3
_MIN_FIRST_SIMILARITY = 0.6
_PAIRS = [(start, 1.0 - end) for start in CUTS for end in CUTS]


class Print(NamedTuple):
    """What is kept of one picture."""

    windows: Hashes
    """Shape (625,), the whole picture first."""
    grey: NDArray[np.uint8]
    """Shape (64, 64)."""
    low: Floats
    """Shape (63,): cosines of the whole picture but the mean, of length 1."""


class Prints(NamedTuple):
    """Those of many pictures; all arrays have their number as first side."""

    windows: Hashes
    greys: NDArray[np.uint8]
    lows: Floats

    @staticmethod
    def of(prints: Sequence[Print]) -> "Prints":
        """Prints side by side."""
        return Prints(
            np.array([one.windows for one in prints], dtype=np.uint64).reshape(-1, len(_PAIRS) ** 2),
            np.array([one.grey for one in prints], dtype=np.uint8).reshape(-1, SIDE, SIDE),
            np.array([one.low for one in prints], dtype=np.float32).reshape(-1, _LOW * _LOW - 1),
        )


class Near(NamedTuple):
    """A picture that may be the one that was looked for."""

    place: int
    turned: bool
    """The one looked for contains it, not the other way round."""
    sides: Sides
    """Of the window in the containing one."""


def print_of(path: Path) -> Print:
    """The print of a picture file.

    Raises:
        OSError: It cannot be read.
    """
    with Image.open(path) as picture:
        small = picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    grey = np.asarray(small)
    cosines = cosines_of(grey.astype(np.float32))
    bits = cosines > np.median(cosines, axis=1, keepdims=True)
    padded = np.concatenate([np.zeros((len(bits), 1), dtype=bool), bits], axis=1)
    return Print(np.packbits(padded, axis=1).view(np.uint64)[:, 0], grey, _unit(cosines[:1])[0])


def near(one: Print, many: Prints, places: NDArray[np.intp]) -> list[Near]:
    """Those of many pictures that may be the one, the most similar first; some windows of each.

    Args:
        one: What is looked for.
        many: Prints of all.
        places: Where to look.
    """
    if one.grey.std() < FLAT:
        return [Near(int(place), False, ALL) for place in places if many.greys[place].std() < FLAT]
    found = [*_containing(one, many, places), *_contained(one, many, places)]
    return [candidate for _, candidate in sorted(found, key=lambda pair: -pair[0])]


def _containing(one: Print, many: Prints, places: NDArray[np.intp]) -> list[tuple[float, Near]]:
    """Pictures of which a window is like the whole of the one."""
    apart = np.bitwise_count(many.windows[places] ^ one.windows[0])
    hit = apart.min(axis=1) <= MAX_DISTANCE
    places, apart = places[hit], apart[hit]
    if not len(places):
        return []
    greys = many.greys[places].astype(np.float32)
    operator = _operator()
    num = len(_PAIRS)
    nearest = np.argsort(apart, axis=1, kind="stable")[:, :_NUM_WINDOWS]
    likely = np.zeros(len(places), dtype=bool)
    for windows in nearest.T:
        cosines = operator[windows // num] @ greys @ operator[windows % num].transpose(0, 2, 1)
        similarities = (_unit(cosines.reshape(len(places), -1)[:, 1:]) * one.low).sum(axis=1)
        likely |= similarities >= _MIN_FIRST_SIMILARITY
    found = []
    for i in np.flatnonzero(likely):
        similarities = (_unit(cosines_of(greys[i])) * one.low).sum(axis=1)
        found += [(one_of, Near(int(places[i]), False, sides)) for one_of, sides in _best(similarities)]
    return found


def _best(similarities: Floats) -> list[tuple[float, Sides]]:
    """The most similar windows, and those with another upper or left side: tables repeat."""
    per_side = similarities.reshape((len(CUTS),) * 4)  # top, bottom, left, right
    first = int(per_side.argmax())
    top, _, left, _ = np.unravel_index(first, per_side.shape)
    elsewhere = np.arange(len(CUTS))
    others = (
        np.where((elsewhere != top)[:, None, None, None], per_side, -1.0).argmax(),
        np.where((elsewhere != left)[None, None, :, None], per_side, -1.0).argmax(),
    )
    nearest = np.argsort(-similarities)[:_NUM_WINDOWS]
    windows = dict.fromkeys((first, *map(int, others), *map(int, nearest)))
    chosen = [window for window in windows if similarities[window] >= MIN_SIMILARITY]
    return [(float(similarities[window]), sides_of(window)) for window in chosen]


def _contained(one: Print, many: Prints, places: NDArray[np.intp]) -> list[tuple[float, Near]]:
    """Pictures whose whole is like a window of the one."""
    apart = np.bitwise_count(many.windows[places, :1] ^ one.windows).min(axis=1)
    places = places[apart <= MAX_DISTANCE]
    if not len(places):
        return []
    windows = _unit(cosines_of(one.grey.astype(np.float32)))
    similarities = np.einsum("wk,nk->nw", windows, many.lows[places])
    return [
        (similarity, Near(int(place), True, sides))
        for i, place in enumerate(places)
        for similarity, sides in _best(similarities[i])
    ]


def cosines_of(grey: Floats) -> Floats:
    """Shape (625, 63): the lowest cosines of each window but the mean, of (64, 64) grey pixels.

    All windows at once, since cutting, averaging and transforming are linear; in a stack of small products,
    for which BLAS starts no threads of its own beside the stage's.
    """
    operator = _operator()
    num = len(operator)
    across = np.matmul(operator, grey.T).reshape(num * _LOW, SIDE).T  # columns first: (64, 25 * 8)
    both = np.matmul(operator, across).reshape(num, _LOW, num, _LOW).transpose(0, 2, 1, 3)
    flat: Floats = both.reshape(num * num, _LOW * _LOW)[:, 1:]
    return flat


def sides_of(window: int) -> Sides:
    """The sides of a window."""
    return (*_PAIRS[window % len(_PAIRS)], *_PAIRS[window // len(_PAIRS)])


ALL: Sides = sides_of(0)


def _unit(rows: Floats) -> Floats:
    scaled: Floats = rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-6)
    return scaled


@cache
def _operator() -> Floats:
    """Shape (25, 8, 64): for each pair of cuts, area averages to 16 samples, then their 8 lowest cosines."""
    sample = np.arange(_SAMPLES)
    cosines = np.array([np.cos(np.pi * (sample + 0.5) * k / _SAMPLES) for k in range(_LOW)])
    return np.stack([cosines @ _averages(*pair) for pair in _PAIRS]).astype(np.float32)


def _averages(start: float, end: float) -> NDArray[np.float64]:
    edges = np.linspace(start * SIDE, end * SIDE, _SAMPLES + 1)
    pixels = np.arange(SIDE)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    averages: NDArray[np.float64] = np.clip(overlap, 0.0, None) / (edges[1] - edges[0])
    return averages

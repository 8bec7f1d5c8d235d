"""Where in a picture another one lies: Gauss-Newton over a window's sides, coarse to fine, many at once.

Slopes are the mean of both pictures' (Benhimane and Malis 2004, "efficient second-order minimization"): with
one picture's alone, thick lines that do not meet yet keep a window where it is.
"""

from typing import NamedTuple

import numpy as np

from spica.dataset.prints import Floats

ALL: Floats = np.array([[0.0, 1.0, 0.0, 1.0]], dtype=np.float32)
"""All of a picture, shape (1, 4)."""
_MAX_CUT = 0.16
"""Of a side: a crop by 14 % and what may be wrong with its place."""
_MIN_GAIN = 0.05
"""Of what is missing from a correlation of 1, in one step."""
_MIN_MOVE = 0.05
"""Of a side, in pixels compared, below which a place is found."""
_RIM = 2
"""Pixels at each side that say nothing of where to move: a window's are mixed with what lies outside."""
_MAX_STALLED = 3
"""Steps in a row that gain less, after which a place is found: the first one may have gone too far."""


class Placed(NamedTuple):
    """Windows of n pairs of pictures."""

    sides: Floats
    """Shape (n, 4), where they fit best."""
    fits: Floats
    """Shape (n,), correlations there."""


def place(parts: Floats, wholes: Floats, sides: Floats, num: int, max_steps: int) -> Placed:
    """Moves windows in `wholes` until they show what `parts` show.

    Args:
        parts: Grey pixels, shape (n, height, width).
        wholes: The same of the pictures in which they may lie.
        sides: Shape (n, 4), left, right, top, bottom as shares of the whole: where to begin.
        num: Compared are so many pixels squared.
        max_steps: After which windows stay where they were best; before, when they gain no more.
    """
    best, fits = sides.copy(), np.full(len(sides), -1.0, dtype=np.float32)
    ours = _centred(cut(parts, np.broadcast_to(ALL, sides.shape), num))
    going, stalled = np.arange(len(sides)), np.zeros(len(sides), dtype=np.intp)
    for step in range(max_steps):
        theirs = _centred(cut(wholes, sides, num))
        found = _cosines(ours, theirs)
        gained = found - fits[going]
        better = gained > 0
        stalled = np.where(gained < _MIN_GAIN * (1.0 - fits[going]), stalled + 1, 0)
        best[going[better]], fits[going[better]] = sides[better], found[better]
        on = stalled < _MAX_STALLED
        if step == max_steps - 1 or not on.any():
            break
        moved = sides.copy()
        moved[on] = _moved(ours[on], theirs[on], sides[on])
        on = np.abs(moved - sides).max(axis=1) * num > _MIN_MOVE
        ours, wholes, sides = ours[on], wholes[on], moved[on]
        going, stalled = going[on], stalled[on]
    return Placed(best, fits)


def cut(pictures: Floats, sides: Floats, num: int) -> Floats:
    """Windows of the pictures as num x num pixels each, shape (n, num, num)."""
    _, height, width = pictures.shape
    across, down = _weights(sides[:, :2] * width, num, width), _weights(sides[:, 2:] * height, num, height)
    windows: Floats = np.matmul(np.matmul(down, pictures), across.transpose(0, 2, 1))
    return windows


def laid_over(parts: Floats, wholes: Floats, sides: Floats, num: int) -> tuple[Floats, Floats]:
    """What parts and windows show but for a rim, shape (n, num, num) each, to be compared pixel by pixel.

    A line that a crop has just cut off would still show at the rim of the window.
    """
    size = np.repeat(sides[:, 1::2] - sides[:, ::2], 2, axis=1)
    rim = np.array([_RIM / num, -_RIM / num] * 2, dtype=np.float32)
    inner: Floats = np.repeat(ALL + rim, len(sides), axis=0)
    return cut(parts, inner, num), cut(wholes, sides + rim * size, num)


def correlations(ours: Floats, theirs: Floats) -> Floats:
    """Shape (n,), of the pixels of pictures of shape (n, height, width)."""
    return _cosines(_centred(ours), _centred(theirs))


def _centred(pictures: Floats) -> Floats:
    centred: Floats = pictures - pictures.mean(axis=(1, 2), keepdims=True)
    return centred


def _cosines(ours: Floats, theirs: Floats) -> Floats:
    cosines: Floats = _products(ours, theirs) / np.sqrt(
        _products(ours, ours) * _products(theirs, theirs) + 1e-6
    )
    return cosines


def _products(ours: Floats, theirs: Floats) -> Floats:
    products: Floats = np.einsum("nij,nij->n", ours, theirs)
    return products


def _weights(spans: Floats, num: int, size: int) -> Floats:
    """Shape (n, num, size): `num` samples between the ends of a span, each a triangle of its neighbours."""
    steps = (spans[:, 1] - spans[:, 0])[:, None] / num
    reach = np.maximum(steps, 1.0)
    centres = (spans[:, :1] + (np.arange(num, dtype=np.float32) + 0.5) * steps) / reach
    pixels = (np.arange(size, dtype=np.float32) + 0.5) / reach
    shares: Floats = pixels[:, None] - centres[:, :, None]
    np.abs(shares, out=shares)  # in place: large arrays, many times
    np.subtract(1.0, shares, out=shares)
    np.maximum(shares, 0.0, out=shares)
    shares /= shares.sum(axis=2, keepdims=True)
    return shares


def _moved(ours: Floats, theirs: Floats, sides: Floats) -> Floats:
    """One step: how far each side has to go for `theirs` to become `ours`, both centred."""
    num = ours.shape[1]
    contrasts = np.sqrt(_products(theirs, theirs)) / (np.sqrt(_products(ours, ours)) + 1e-6)
    scaled = ours * contrasts.astype(np.float32)[:, None, None]
    both = scaled + theirs
    both *= 0.25  # the mean of two, and a slope spans two pixels
    inner, before, after = (slice(_RIM + step, num - _RIM + step) for step in (0, -1, 1))
    across = both[:, inner, after] - both[:, inner, before]
    down = both[:, after, inner] - both[:, before, inner]
    at = ((np.arange(num) + 0.5) / num).astype(np.float32)[inner]
    slopes = np.empty((len(ours), 4, *across.shape[1:]), dtype=np.float32)
    np.multiply(across, 1 - at, out=slopes[:, 0])
    np.multiply(across, at, out=slopes[:, 1])
    np.multiply(down, (1 - at)[:, None], out=slopes[:, 2])
    np.multiply(down, at[:, None], out=slopes[:, 3])
    slopes = slopes.reshape(len(ours), 4, -1)
    error = (scaled - theirs)[:, inner, inner].reshape(len(ours), -1, 1)
    normal = slopes @ slopes.transpose(0, 2, 1)
    damped = normal + np.eye(4, dtype=np.float32) * (
        1e-3 * np.trace(normal, axis1=1, axis2=2)[:, None, None] + 1e-6
    )
    moves = np.linalg.solve(damped, slopes @ error)[:, :, 0] / num
    scale = np.stack([sides[:, 1] - sides[:, 0]] * 2 + [sides[:, 3] - sides[:, 2]] * 2, axis=1)
    low = np.array([0.0, 1.0 - _MAX_CUT] * 2, dtype=np.float32)
    moved: Floats = np.clip(sides + moves * scale, low, low + _MAX_CUT)
    return moved

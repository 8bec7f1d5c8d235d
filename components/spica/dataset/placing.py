"""Where in a picture another one lies: Gauss-Newton over a window's sides, coarse to fine, many at once."""

from typing import NamedTuple

import numpy as np

from spica.dataset.prints import Floats

ALL: Floats = np.array([[0.0, 1.0, 0.0, 1.0]], dtype=np.float32)
"""All of a picture, shape (1, 4)."""
_MAX_CUT = 0.16
"""Of a side: a crop by 14 % and what may be wrong with its place."""
_MIN_GAIN = 0.002
"""Of correlation in one step, below which a place is found."""


class Placed(NamedTuple):
    """Windows of n pairs of pictures."""

    sides: Floats
    """Shape (n, 4), where they fit best."""
    fits: Floats
    """Shape (n,), correlations there."""
    unmoved: Floats
    """Shape (n,), those where they began."""


def place(parts: Floats, wholes: Floats, sides: Floats, num: int, max_steps: int) -> Placed:
    """Moves windows in `wholes` until they show what `parts` show.

    Args:
        parts: Grey pixels, shape (n, height, width).
        wholes: The same of the pictures in which they may lie.
        sides: Shape (n, 4), left, right, top, bottom as shares of the whole: where to begin.
        num: Compared are so many pixels squared.
        max_steps: After which windows stay where they were best; before, when none gains any more.
    """
    best, fits = sides, np.full(len(sides), -1.0, dtype=np.float32)
    unmoved = fits
    ours = cut(parts, np.broadcast_to(ALL, sides.shape), num)
    for step in range(max_steps):
        theirs = cut(wholes, sides, num)
        found = correlations(ours, theirs)
        unmoved = unmoved if step else found
        gained = found - fits
        best, fits = np.where(gained[:, None] > 0, sides, best), np.maximum(found, fits)
        if step == max_steps - 1 or gained.max() < _MIN_GAIN:
            break
        sides = _moved(ours, theirs, sides)
    return Placed(best, fits, unmoved)


def cut(pictures: Floats, sides: Floats, num: int) -> Floats:
    """Windows of the pictures as num x num pixels each, shape (n, num, num)."""
    _, height, width = pictures.shape
    across, down = _weights(sides[:, :2] * width, num, width), _weights(sides[:, 2:] * height, num, height)
    windows: Floats = np.matmul(np.matmul(down, pictures), across.transpose(0, 2, 1))
    return windows


def halved(pictures: Floats) -> Floats:
    """Half as many pixels a side, shape (n, height / 2, width / 2)."""
    rows = pictures[:, ::2] + pictures[:, 1::2]
    half: Floats = np.asarray((rows[:, :, ::2] + rows[:, :, 1::2]) / 4, dtype=np.float32)
    return half


def correlations(ours: Floats, theirs: Floats) -> Floats:
    """Shape (n,), of the pixels of pictures of shape (n, height, width)."""
    a, b = (each - each.mean(axis=(1, 2), keepdims=True) for each in (ours, theirs))
    found: Floats = (a * b).sum(axis=(1, 2)) / np.sqrt(
        (a * a).sum(axis=(1, 2)) * (b * b).sum(axis=(1, 2)) + 1e-6
    )
    return found


def _weights(spans: Floats, num: int, size: int) -> Floats:
    """Shape (n, num, size): `num` samples between the ends of a span, each a triangle of its neighbours."""
    steps = (spans[:, 1] - spans[:, 0])[:, None] / num
    centres = spans[:, :1] + (np.arange(num, dtype=np.float32) + 0.5) * steps
    pixels = np.arange(size, dtype=np.float32) + 0.5
    shares: Floats = np.asarray(pixels - centres[:, :, None], dtype=np.float32)
    np.abs(shares, out=shares)  # in place: this is half of the time that placing takes
    shares *= -1.0 / np.maximum(steps, 1.0)[:, :, None]
    shares += 1.0
    np.maximum(shares, 0.0, out=shares)
    shares /= shares.sum(axis=2, keepdims=True)
    return shares


def _moved(ours: Floats, theirs: Floats, sides: Floats) -> Floats:
    """One step: how far each side has to go for `theirs` to become `ours`."""
    num = ours.shape[1]
    down, right_of = np.gradient(theirs, axis=(1, 2))
    at = ((np.arange(num) + 0.5) / num).astype(np.float32)
    slopes = np.stack(
        [right_of * (1 - at), right_of * at, down * (1 - at)[:, None], down * at[:, None]], axis=1
    ).reshape(len(ours), 4, -1)
    a, b = (each - each.mean(axis=(1, 2), keepdims=True) for each in (ours, theirs))
    gain = a.std(axis=(1, 2), keepdims=True) / (b.std(axis=(1, 2), keepdims=True) + 1e-6)
    error = (a / (gain + 1e-6) - b).reshape(len(ours), -1, 1)
    normal = slopes @ slopes.transpose(0, 2, 1)
    damped = normal + np.eye(4, dtype=np.float32) * (
        1e-3 * np.trace(normal, axis1=1, axis2=2)[:, None, None] + 1e-6
    )
    moves = np.linalg.solve(damped, slopes @ error)[:, :, 0] / num
    scale = np.stack([sides[:, 1] - sides[:, 0]] * 2 + [sides[:, 3] - sides[:, 2]] * 2, axis=1)
    low = np.array([0.0, 1.0 - _MAX_CUT] * 2, dtype=np.float32)
    moved: Floats = np.clip(sides + moves * scale, low, low + _MAX_CUT)
    return moved

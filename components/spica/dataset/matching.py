"""Which pictures of two sets are one and the same, cropped, scaled or compressed as they may be.

First by prints, among all that are asked for; then by laying small grey pictures into each other; the few
that are left are opened and compared in detail.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spica.dataset.likeness import likeness, reached
from spica.dataset.placing import ALL, Placed, correlations, cut, halved, place
from spica.dataset.prints import SIDE, Floats, Near, Places, Prints, near, prints_of

MIN_SMALL_CORRELATION = 0.6
MIN_UNMOVED_CORRELATION = 0.7
"""Of 24 pixels squared, once moved and as printed."""
MIN_ROUGH_CORRELATION, MAX_ROUGH_CORRELATION = 0.6, 0.9
"""Of 48 pixels squared: where in between depends on how fine the picture is."""
MIN_ROUGH_BLOCK_CORRELATION = 0.3
"""Reached by 90 % of 6 x 6 blocks of them."""
MIN_WHOLE_LIKENESS = 0.97
"""Of the prints of uncropped pictures."""

_MAX_UNMOVED, _MAX_PLACES = 2, 3
"""Windows of a pair that are looked at closer as they are, and once moved at 24 pixels squared."""
_MOVED = 0.4
"""Pixels of 48 by which the place may be off."""
_ROUGH_NOISE = 0.12
_SAME_PLACE = 0.01
_BLOCK = 64

Asked = Iterable[tuple[Places, Places]]
"""Places of our pictures and of theirs, each with each."""
Pair = tuple[int, int]
"""The place of one of ours and of one of theirs."""


class Candidate(NamedTuple):
    """Two pictures that may be one."""

    pair: Pair
    turned: bool
    """Theirs lies in ours, not the other way round."""
    sides: Floats
    """Shape (n, 4), where the part may lie in the whole."""


class Pictures(NamedTuple):
    """Picture files and their prints."""

    paths: list[Path]
    prints: Prints


def read(paths: Sequence[Path], pool: ThreadPoolExecutor) -> Pictures:
    """Decodes and prints pictures.

    Raises:
        OSError: One cannot be read.
    """
    return Pictures(list(paths), prints_of(paths, pool))


def like_pairs(
    ours: Pictures, theirs: Pictures, by_theirs: Asked, by_ours: Asked, pool: ThreadPoolExecutor
) -> list[Candidate]:
    """Pairs that may be one picture.

    Args:
        ours: One set.
        theirs: The other one.
        by_theirs: What to compare, named such that each of theirs comes up rarely.
        by_ours: The same such that each of ours comes up rarely.
        pool: Where it is computed.
    """
    pairs: list[Candidate] = []
    for turned, parts, wholes, asked in (
        (False, ours, theirs, by_theirs),
        (True, theirs, ours, ((b, a) for a, b in by_ours)),
    ):
        found = near(parts.prints, wholes.prints, asked, pool)
        for part, whole, sides in _placed(parts.prints, wholes.prints, found, pool):
            pairs.append(Candidate((whole, part) if turned else (part, whole), turned, sides))
    return pairs


def whole_pairs(ours: Pictures, theirs: Pictures) -> list[Candidate]:
    """For each of ours the uncropped one of theirs that is nearest, where it is near."""
    pairs = []
    for start in range(0, len(ours.paths), _BLOCK):
        likenesses = ours.prints.lows[start : start + _BLOCK] @ theirs.prints.lows.T
        for i, j in enumerate(likenesses.argmax(axis=1)):
            if likenesses[i, j] >= MIN_WHOLE_LIKENESS:
                pairs.append(Candidate((start + i, int(j)), False, ALL))
    return pairs


def same(
    ours: Pictures,
    theirs: Pictures,
    candidates: Sequence[Candidate],
    pool: ThreadPoolExecutor,
) -> Mapping[Pair, float]:
    """Correlations of those pairs that are one picture.

    Raises:
        OSError: A picture cannot be read any more.
    """
    found: dict[Pair, float] = {}

    def compare(candidate: Candidate) -> None:
        if candidate.pair in found:
            return
        part, whole = ours.paths[candidate.pair[0]], theirs.paths[candidate.pair[1]]
        if candidate.turned:
            part, whole = whole, part
        like = likeness(part, whole, candidate.sides)
        if like.same:
            found[candidate.pair] = round(like.correlation, 3)

    for turned in (False, True):  # most are ours cropped; each file is opened about once
        those = sorted((one for one in candidates if one.turned == turned), key=lambda one: one.pair[::-1])
        list(pool.map(compare, those))
    return found


def _placed(
    parts: Prints, wholes: Prints, found: Near, pool: ThreadPoolExecutor
) -> Iterable[tuple[int, int, Floats]]:
    """The best places of each pair, by 24 and by 48 pixels squared; none where nothing fits."""
    flat: NDArray[np.bool_] = ~np.any(parts.lows[found.part], axis=1)
    small, fits, unmoved = _place(parts, wholes, found, 24, 4, pool)
    # A crop that ends on a line drifts off at this scale: the best two go on unmoved as well.
    kept = (unmoved >= MIN_UNMOVED_CORRELATION) & _is_among_best(found, unmoved, _MAX_UNMOVED)
    first = _those(found, kept)
    found = found._replace(sides=small)
    kept = ((fits >= MIN_SMALL_CORRELATION) | flat) & _is_among_best(found, fits, _MAX_PLACES)
    found = _joined(first, _those(found, kept))
    flat = ~np.any(parts.lows[found.part], axis=1)
    rough, fits, _ = _place(parts, wholes, found, 48, 5, pool)
    kept = (fits >= _rough_bounds(wholes, found.whole, rough)) | flat
    pairs: dict[Pair, list[Floats]] = {}
    for part, whole, sides in zip(found.part[kept], found.whole[kept], rough[kept], strict=True):
        others = pairs.get((int(part), int(whole)), [])
        ours, theirs = (_pixels(*each, 48) for each in ((parts, part[None]), (wholes, whole[None])))
        ours, theirs = cut(ours, ALL, 48), cut(theirs, sides[None], 48)
        if _is_new(sides, others) and reached(ours, theirs, 6, 10) >= MIN_ROUGH_BLOCK_CORRELATION:
            pairs[int(part), int(whole)] = [*others, sides]
    return [(part, whole, np.stack(sides)) for (part, whole), sides in pairs.items()]


def _place(
    parts: Prints, wholes: Prints, found: Near, num: int, max_steps: int, pool: ThreadPoolExecutor
) -> Placed:
    def block(start: int) -> Placed:
        those = slice(start, start + _BLOCK)
        ours = _pixels(parts, found.part[those], num)
        theirs = _pixels(wholes, found.whole[those], num)
        return place(ours, theirs, found.sides[those], num, max_steps)

    none = np.zeros(0, np.float32)
    done = [Placed(none.reshape(0, 4), none, none)]
    done += pool.map(block, range(0, len(found.part), _BLOCK))
    return Placed(*(np.concatenate(each) for each in zip(*done, strict=True)))


def _pixels(prints: Prints, places: Places, num: int) -> Floats:
    """Grey pixels of pictures, twice as coarse where fewer are asked for."""
    once, again = np.unique(places, return_inverse=True)  # a pair has many windows
    grey: Floats = prints.greys[once].astype(np.float32)
    return (grey if 2 * num > SIDE else halved(grey))[again]


def _rough_bounds(wholes: Prints, places: Places, sides: Floats) -> Floats:
    """Shape (n,): how well a window fits at least, given how well it fits itself when moved a little."""
    bounds = np.zeros(len(places), dtype=np.float32)
    for start in range(0, len(places), _BLOCK):
        those = slice(start, start + _BLOCK)
        greys, at = wholes.greys[places[those]].astype(np.float32), sides[those]
        size = np.repeat(at[:, 1::2] - at[:, ::2], 2, axis=1)
        shifts = np.array([[1, 1, 1, 1], [1, 1, -1, -1]], dtype=np.float32) * (_MOVED / 48)
        window = cut(greys, at, 48)
        bounds[those] = np.min(
            [correlations(window, cut(greys, at + size * shift, 48)) for shift in shifts], axis=0
        )
    return np.clip(bounds - _ROUGH_NOISE, MIN_ROUGH_CORRELATION, MAX_ROUGH_CORRELATION)


def _is_among_best(found: Near, fits: Floats, num: int) -> NDArray[np.bool_]:
    """The first places of each pair by correlation; those that have met count once."""
    among = np.zeros(len(fits), dtype=bool)
    chosen: dict[Pair, list[Floats]] = {}
    for i in np.argsort(-fits, kind="stable"):
        others = chosen.setdefault((int(found.part[i]), int(found.whole[i])), [])
        if len(others) < num and _is_new(found.sides[i], others):
            others.append(found.sides[i])
            among[i] = True
    return among


def _those(found: Near, chosen: NDArray[np.bool_]) -> Near:
    return Near(found.part[chosen], found.whole[chosen], found.sides[chosen])


def _joined(one: Near, other: Near) -> Near:
    part, whole = np.concatenate([one.part, other.part]), np.concatenate([one.whole, other.whole])
    return Near(part, whole, np.concatenate([one.sides, other.sides]))


def _is_new(sides: Floats, others: Sequence[Floats]) -> bool:
    return all(float(np.abs(sides - other).max()) > _SAME_PLACE for other in others)

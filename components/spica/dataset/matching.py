"""Which pictures of two sets are one and the same, cropped, scaled or compressed as they may be.

First by prints, among all that are asked for; then by laying small grey pictures into each other, at three
scales; the few that are left are opened and compared in detail.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spica.dataset.likeness import likeness, reached
from spica.dataset.placing import ALL, correlations, cut, laid_over, place
from spica.dataset.prints import SIDE, Floats, Near, Places, Prints, halved, near, prints_of
from spica.dataset.windows import MAX_STRETCH, Windows, stretch, windows

MIN_ROUGH_CORRELATION, MAX_ROUGH_CORRELATION = 0.6, 0.9
"""Of 48 pixels squared: where in between depends on how fine the picture is."""
MIN_ROUGH_BLOCK_CORRELATION = 0.3
"""Reached by 90 % of 6 x 6 blocks of them."""
MIN_CORRELATION, MIN_BLOCK_CORRELATION = 0.85, 0.65
"""Of 96 pixels squared, and reached by 95 % of 8 x 8 blocks of them."""
MAX_CUT_IF_STRETCHED = 0.03
"""Of a side: all of a picture may have been stretched, a crop keeps its proportions."""
MIN_WHOLE_LIKENESS = 0.97
"""Of the prints of uncropped pictures."""

_MOVED = 0.4
"""Pixels of 48 by which the place may be off."""
_ROUGH_NOISE = 0.12
_SAME_PLACE, _MAX_LOSS = 0.02, 0.1
"""Windows of a pair that have met by so much of a side or fit so much worse than its best one are let go."""
_BLOCK_PIXELS = 300_000
"""Of the windows that are placed together; with half of them threads waited for one another."""

Asked = Iterable[tuple[Places, Places]]
"""Places of our pictures and of theirs, each with each."""
Pair = tuple[int, int]
"""The place of one of ours and of one of theirs."""


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


def same(
    ours: Pictures, theirs: Pictures, by_theirs: Asked, by_ours: Asked, pool: ThreadPoolExecutor
) -> Mapping[Pair, float]:
    """Correlations of those pairs that are one picture, looked up as ours in theirs, then as theirs in ours.

    Args:
        ours: One set.
        theirs: The other one.
        by_theirs: What to compare, named such that each of theirs comes up rarely.
        by_ours: The same such that each of ours comes up rarely.
        pool: Where it is computed.

    Raises:
        OSError: A picture cannot be read any more.
    """
    pairs = near(ours.prints, theirs.prints, by_theirs, pool)
    uncropped = _uncropped(ours.prints, theirs.prints)
    found = _same(ours, theirs, _likely(ours.prints, theirs.prints, pairs, pool, uncropped), pool)
    pairs = near(theirs.prints, ours.prints, ((b, a) for a, b in by_ours), pool)
    new = [pair not in found for pair in zip(pairs.whole.tolist(), pairs.part.tolist(), strict=True)]
    pairs = Near(*(each[np.array(new, dtype=bool)] for each in pairs))
    turned = _same(theirs, ours, _likely(theirs.prints, ours.prints, pairs, pool), pool)
    return found | {(whole, part): correlation for (part, whole), correlation in turned.items()}


def _likely(
    parts: Prints, wholes: Prints, pairs: Near, pool: ThreadPoolExecutor, *others: Windows
) -> Windows:
    """Windows, of those pairs and others, that may show what the part shows."""
    flat = ~parts.lows[pairs.part].any(axis=1)  # where nothing is drawn colours alone can tell
    found = windows(parts, wholes, Near(pairs.part[~flat], pairs.whole[~flat]), pool)
    found = _placed(parts, wholes, _joined(found, *others), pool)
    return _joined(found, _all_of(pairs.part[flat], pairs.whole[flat]))


def _same(parts: Pictures, wholes: Pictures, likely: Windows, pool: ThreadPoolExecutor) -> dict[Pair, float]:
    """Correlations, by part and whole, of those windows that show what the part shows."""
    found: dict[Pair, float] = {}

    def compare(i: int) -> None:
        pair = int(likely.part[i]), int(likely.whole[i])
        if pair in found:
            return
        like = likeness(parts.paths[pair[0]], wholes.paths[pair[1]], likely.sides[[i]])
        if like.same:
            found[pair] = round(like.correlation, 3)

    order = np.lexsort((likely.part, likely.whole))  # each file is opened about once
    list(pool.map(compare, order.tolist()))
    return found


def _uncropped(ours: Prints, theirs: Prints) -> Windows:
    """For each of ours the uncropped one of theirs that is nearest, where it is near."""
    pairs = []
    for start in range(0, len(ours.lows), 64):
        likenesses = ours.lows[start : start + 64] @ theirs.lows.T
        best = likenesses.argmax(axis=1)
        is_near = likenesses[np.arange(len(best)), best] >= MIN_WHOLE_LIKENESS
        pairs.append(np.column_stack([start + np.flatnonzero(is_near), best[is_near]]))
    found = np.concatenate(pairs)
    return _all_of(found[:, 0], found[:, 1])


def _placed(parts: Prints, wholes: Prints, found: Windows, pool: ThreadPoolExecutor) -> Windows:
    """The best places of each pair, by 48 and by 96 pixels squared; none where nothing fits."""
    found, fits = _moved(parts, wholes, found, 48, 8, pool)
    bounds = np.full(len(fits), MIN_ROUGH_CORRELATION)
    likely = np.flatnonzero(fits >= bounds)
    bounds[likely] = _rough_bounds(wholes, _those(found, likely), pool)
    found = _those(found, _worth(found, fits, bounds))
    found = _those(found, _blocks(parts, wholes, found, 48, 6, 10, pool) >= MIN_ROUGH_BLOCK_CORRELATION)
    found, fits = _moved(parts, wholes, found, 96, 12, pool)
    found = _those(found, _worth(found, fits, np.full(len(fits), MIN_CORRELATION)))
    stretched = stretch(found.sides, parts.aspects[found.part], wholes.aspects[found.whole]) > MAX_STRETCH
    found = _those(found, ~stretched | (np.abs(found.sides - ALL).max(axis=1) < MAX_CUT_IF_STRETCHED))
    return _those(found, _blocks(parts, wholes, found, 96, 8, 5, pool) >= MIN_BLOCK_CORRELATION)


def _moved(
    parts: Prints, wholes: Prints, found: Windows, num: int, max_steps: int, pool: ThreadPoolExecutor
) -> tuple[Windows, Floats]:
    """Windows where they fit best, and their correlations."""

    def block(those: Windows) -> NDArray[np.float32]:
        ours, theirs = _pixels(parts, those.part, num), _pixels(wholes, those.whole, num)
        sides, fits = place(ours, theirs, those.sides, num, max_steps)
        return np.column_stack([sides, fits])

    done = _by_blocks(block, found, num, pool).reshape(-1, 5)
    return found._replace(sides=done[:, :4]), done[:, 4]


def _blocks(
    parts: Prints,
    wholes: Prints,
    found: Windows,
    num: int,
    blocks: int,
    percentile: int,
    pool: ThreadPoolExecutor,
) -> Floats:
    """Shape (n,): what `reached` says of windows."""

    def block(those: Windows) -> Floats:
        ours, theirs = _pixels(parts, those.part, num), _pixels(wholes, those.whole, num)
        return reached(*laid_over(ours, theirs, those.sides, num), blocks, percentile)

    return _by_blocks(block, found, num, pool)


def _rough_bounds(wholes: Prints, found: Windows, pool: ThreadPoolExecutor) -> Floats:
    """Shape (n,): how well a window fits at least, given how well it fits itself when moved a little."""
    shifts = np.array([[1, 1, 1, 1], [1, 1, -1, -1]], dtype=np.float32) * (_MOVED / 48)

    def block(those: Windows) -> Floats:
        greys, sides = _pixels(wholes, those.whole, 48), those.sides
        size = np.repeat(sides[:, 1::2] - sides[:, ::2], 2, axis=1)
        window = cut(greys, sides, 48)
        least = [correlations(window, cut(greys, sides + size * shift, 48)) for shift in shifts]
        bounds: Floats = np.min(least, axis=0)
        return bounds

    bounds = _by_blocks(block, found, 48, pool) - _ROUGH_NOISE
    return np.clip(bounds, MIN_ROUGH_CORRELATION, MAX_ROUGH_CORRELATION)


def _by_blocks(
    function: Callable[[Windows], Floats], found: Windows, num: int, pool: ThreadPoolExecutor
) -> Floats:
    size = max(1, _BLOCK_PIXELS // num**2)
    blocks = (_those(found, slice(start, start + size)) for start in range(0, len(found.part), size))
    return np.concatenate([np.zeros(0, np.float32), *(each.ravel() for each in pool.map(function, blocks))])


def _pixels(prints: Prints, places: Places, num: int) -> Floats:
    """Grey pixels of pictures, half of them where half are enough."""
    greys = prints.greys[places]
    return greys.astype(np.float32) if 2 * num > SIDE else halved(greys)


def _worth(found: Windows, fits: Floats, bounds: Floats) -> Places:
    """The places of those windows that are looked at closer."""
    worth = []
    seen: dict[Pair, list[int]] = {}
    for i in np.argsort(-fits, kind="stable").tolist():
        others = seen.setdefault((int(found.part[i]), int(found.whole[i])), [])
        is_good = fits[i] >= bounds[i] and (not others or fits[i] >= fits[others[0]] - _MAX_LOSS)
        if is_good and all(
            np.abs(found.sides[i] - found.sides[other]).max() > _SAME_PLACE for other in others
        ):
            others.append(i)
            worth.append(i)
    return np.array(worth, dtype=np.intp)


def _all_of(parts: Places, wholes: Places) -> Windows:
    return Windows(parts, wholes, np.repeat(ALL, len(parts), axis=0))


def _those(found: Windows, chosen: NDArray[np.bool_] | Places | slice) -> Windows:
    return Windows(found.part[chosen], found.whole[chosen], found.sides[chosen])


def _joined(*several: Windows) -> Windows:
    return Windows(*(np.concatenate(each) for each in zip(*several, strict=True)))

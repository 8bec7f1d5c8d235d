"""Which training rows ask what a test set asks.

The rule, by what the two rows have:

- *The same* (words, spaces aside, and pixels): a hit, whatever its length.
- *Pictures on both sides*: a hit when the questions share 80 % of their words (half of them below five
  words) and a picture of one is a picture of the other: cropped by up to 14 % per side, scaled or compressed
  again. Words alone do not count here: "Find x." is asked of thousands of pictures, and every question of the
  miniature is one sum of letters. A picture alone does not count either: one chart is asked many questions.
- *A test question without words* (MathVerse's Vision Only: drawn into the picture): a like picture is a hit.
- *Pictures on no side*: a hit when both texts have at least 8 words, share 80 % of them, 30 % of the shorter
  text's word trigrams stand in the other (10 % of changed words leave a third of them), and a third of its
  numbers and formulas: "Find all functions f such that ..." with another equation is another question. Below
  8 words texts must be the same: the miniature's facts and sum are two words.
- *Pictures on one side*: the same with 90 % of the words, since more than words differs already.

Near hits are reported and trained on: long questions with like words whose pictures or formulas are others,
and pictures that are one but are asked something else.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from os import sched_getaffinity
from pathlib import Path
from typing import Any, Literal

import numpy as np

from spica.artifacts.types import PromptRow
from spica.dataset.likeness import likeness, rough_place
from spica.dataset.prints import MAX_DISTANCE, Print, Prints, near, print_of
from spica.dataset.words import LONG, Likely, WordIndex, Words, containment, same_content, words_of

MIN_OVERLAP = 0.8
MIN_OVERLAP_SHORT = 0.5
MIN_OVERLAP_ONE_SIDED = 0.9
MIN_CONTAINMENT = 0.3
MAX_WHOLE_DISTANCE = 8
"""Bits between whole pictures below which one that is asked something else is reported."""
MAX_NEAR_HITS = 200
"""Near hits written down; all of them are counted."""

Identity = tuple[str, ...]


def identity(row: PromptRow) -> Identity:
    """Equal for questions that ask the same of the same: context and question, spaces aside, and pixels."""
    return (" ".join(row.question.split()), *(image.pixels for image in row.images))


@dataclass(frozen=True)
class Hit:
    """A training row and the test row it is like."""

    id: str
    other: str
    """SOURCE/ID."""
    by: Literal["same", "words", "words and picture", "picture"]
    overlap: float
    """Share of common words."""
    correlation: float | None = None
    """Of the pictures, once aligned."""


@dataclass
class Findings:
    """Hits, at most one per training row, and near hits."""

    hits: list[Hit] = field(default_factory=list)
    near_hits: list[Hit] = field(default_factory=list)
    num_rows: int = 0
    num_tests: int = 0

    def report(self) -> dict[str, Any]:
        """What contamination.json says."""
        return {
            "rule": {
                "min_overlap": MIN_OVERLAP,
                "min_overlap_one_sided": MIN_OVERLAP_ONE_SIDED,
                "min_containment": MIN_CONTAINMENT,
                "long_words": LONG,
                "max_hash_distance": MAX_DISTANCE,
            },
            "num_training_rows": self.num_rows,
            "num_test_rows": self.num_tests,
            "num_hits": len(self.hits),
            "hits": [asdict(hit) for hit in self.hits],
            "num_near_hits": len(self.near_hits),
            "near_hits": [asdict(hit) for hit in self.near_hits[:MAX_NEAR_HITS]],
        }


def find(rows: Sequence[PromptRow], images: Path, tests: Sequence[PromptRow], test_images: Path) -> Findings:
    """Looks up every training row among all test rows.

    Args:
        rows: Training questions.
        images: Folder to which their picture paths are relative.
        tests: Questions of benchmarks and dev.
        test_images: The same for theirs.

    Raises:
        OSError: A picture cannot be read.
    """
    findings = Findings(num_rows=len(rows), num_tests=len(tests))
    if not rows or not tests:
        return findings
    with ThreadPoolExecutor(max_workers=len(sched_getaffinity(0))) as pool:
        seen = any(row.images for row in rows)
        library = _Library(tests, test_images, pool if seen else None)
        prints = _prints(rows, images, pool) if seen else {}
        looked = pool.map(lambda row: list(library.look_up(row, images, prints)), rows)
        for hit, is_near in (pair for pairs in looked for pair in pairs):
            (findings.near_hits if is_near else findings.hits).append(hit)
    return findings


def _prints(rows: Sequence[PromptRow], folder: Path, pool: ThreadPoolExecutor) -> Mapping[str, Print]:
    """By file; rows share pictures. Pillow decodes outside of Python's lock."""
    paths = sorted({image.path for row in rows for image in row.images})
    return dict(zip(paths, pool.map(lambda path: print_of(folder / path), paths), strict=True))


class _Library:
    """The test rows, ready to be looked up by words and by pictures."""

    def __init__(self, tests: Sequence[PromptRow], images: Path, pool: ThreadPoolExecutor | None) -> None:
        self._tests = tests
        self._images = images
        self._same = {identity(row): row for row in tests}
        by_words: dict[Words, list[PromptRow]] = defaultdict(list)
        for row in tests:
            by_words[words_of(row.question)].append(row)
        self._texts = list(by_words)
        self._rows = list(by_words.values())
        self._index = WordIndex(self._texts)
        self._prints = _prints(tests, images, pool) if pool else {}
        self._owners: dict[str, PromptRow] = {image.path: row for row in tests for image in row.images}
        self._paths = list(self._prints)
        self._places = {path: place for place, path in enumerate(self._paths)}
        self._many = Prints.of(list(self._prints.values()))
        self._wordless = [
            self._places[image.path]
            for row in tests
            for image in row.images
            if pool and not words_of(row.question)
        ]

    def look_up(
        self, row: PromptRow, images: Path, prints: Mapping[str, Print]
    ) -> Iterator[tuple[Hit, bool]]:
        """The first hit, or near hits; True marks these."""
        if same := self._same.get(identity(row)):
            yield Hit(row.id, _name(same), "same", 1.0, 1.0 if row.images else None), False
            return
        close: list[Hit] = []
        words = words_of(row.question)
        for likely in sorted(
            self._index.like(words, MIN_OVERLAP, MIN_OVERLAP_SHORT), key=lambda one: -one.overlap
        ):
            if hit := self._by_words(row, words, likely, images, prints, close):
                yield hit, False
                return
        if hit := self._by_picture(row, images, prints, close):
            yield hit, False
            return
        yield from ((one, True) for one in close[:1])

    def _by_words(
        self,
        row: PromptRow,
        words: Words,
        likely: Likely,
        images: Path,
        prints: Mapping[str, Print],
        close: list[Hit],
    ) -> Hit | None:
        text = self._texts[likely.place]
        overlap = round(likely.overlap, 3)
        near_words = (
            min(len(text), len(words)) >= LONG
            and likely.overlap >= MIN_OVERLAP
            and containment(words, text) >= MIN_CONTAINMENT
        )
        with_pictures = [test for test in self._rows[likely.place] if test.images and row.images]
        without = [test for test in self._rows[likely.place] if not (test.images and row.images)]
        if near_words and same_content(words, text):
            for test in without:
                if likely.overlap >= MIN_OVERLAP_ONE_SIDED or not (test.images or row.images):
                    return Hit(row.id, _name(test), "words", overlap)
        places = sorted({self._places[image.path] for test in with_pictures for image in test.images})
        for place, correlation in self._same_pictures(row, places, images, prints):
            owner = next(t for t in with_pictures if self._paths[place] in {i.path for i in t.images})
            return Hit(row.id, _name(owner), "words and picture", overlap, correlation)
        if near_words:
            close.append(Hit(row.id, _name(self._rows[likely.place][0]), "words", overlap))
        return None

    def _by_picture(
        self, row: PromptRow, images: Path, prints: Mapping[str, Print], close: list[Hit]
    ) -> Hit | None:
        for place, correlation in self._same_pictures(row, self._wordless, images, prints):
            return Hit(row.id, _name(self._owners[self._paths[place]]), "picture", 0.0, correlation)
        for image in row.images:
            apart = np.bitwise_count(self._many.windows[:, 0] ^ prints[image.path].windows[0])
            nearest = int(np.argmin(apart)) if len(apart) else -1
            if nearest < 0 or apart[nearest] > MAX_WHOLE_DISTANCE:
                continue
            for place, correlation in self._same_pictures(row, [nearest], images, prints):
                owner = self._owners[self._paths[place]]
                close.append(Hit(row.id, _name(owner), "picture", 0.0, correlation))
        return None

    def _same_pictures(
        self, row: PromptRow, places: Sequence[int], images: Path, prints: Mapping[str, Print]
    ) -> Iterator[tuple[int, float]]:
        """(Place, correlation) of those test pictures that are a picture of the row, the nearest first."""
        if not places:
            return
        chosen = np.array(places)
        for image in row.images:
            mine = prints[image.path]
            found: set[int] = set()
            for place, turned, window in near(mine, self._many, chosen):
                if place in found:
                    continue
                part, whole = mine.grey, self._many.greys[place]
                files = images / image.path, self._images / self._paths[place]
                if turned:
                    part, whole, files = whole, part, files[::-1]
                rough = rough_place(part, whole, window)
                if rough is None:
                    continue
                like = likeness(files[0], files[1], rough)
                if like.same:
                    found.add(place)
                    yield place, round(like.correlation, 3)


def _name(row: PromptRow) -> str:
    return f"{row.source}/{row.id}"

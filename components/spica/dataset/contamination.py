"""Which training rows ask what a test set asks.

The rule, by what the two rows have:

- *The same* (words, spaces aside, and pixels): a hit, whatever its length.
- *Pictures on both sides*: a hit when the questions share 80 % of their words (half of them below five
  words) and a picture of one is a picture of the other: scaled, compressed again, cropped by up to 14 % per
  side or else stretched. Words alone do not count here: "Find x." is asked of thousands of pictures, and
  every question of the miniature is one sum of letters. A picture alone does not count either: one chart is
  asked many questions.
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
from threadpoolctl import threadpool_limits

from spica.artifacts.types import PromptRow
from spica.dataset.matching import Asked, read, same
from spica.dataset.prints import Places
from spica.dataset.words import LONG, Likely, WordIndex, Words, containment, same_content, words_of

MIN_OVERLAP = 0.8
MIN_OVERLAP_SHORT = 0.5
MIN_OVERLAP_ONE_SIDED = 0.9
MIN_CONTAINMENT = 0.3
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
    # One thread per task of the pool: threads of BLAS beside them took twice the CPU seconds.
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(len(sched_getaffinity(0))) as pool:
        texts = _Texts(rows, tests, pool)
        seen = _Pictures(rows, images, tests, test_images, texts, pool)
    exact = {identity(row): row for row in tests}
    for row in rows:
        if known := exact.get(identity(row)):
            findings.hits.append(Hit(row.id, _name(known), "same", 1.0, 1.0 if row.images else None))
            continue
        close: list[Hit] = []
        if hit := _by_words(row, texts, seen, close) or _by_picture(row, seen, close):
            findings.hits.append(hit)
        else:
            findings.near_hits += close[:1]
    return findings


class _Texts:
    """The test rows by their words, and those whose words are like a training row's."""

    def __init__(
        self, rows: Sequence[PromptRow], tests: Sequence[PromptRow], pool: ThreadPoolExecutor
    ) -> None:
        by_words: dict[Words, list[PromptRow]] = defaultdict(list)
        for row in tests:
            by_words[words_of(row.question)].append(row)
        self.texts = list(by_words)
        self.rows = list(by_words.values())
        index = WordIndex(self.texts)

        def like(words: Words) -> list[Likely]:
            found = index.like(words, MIN_OVERLAP, MIN_OVERLAP_SHORT)
            return sorted(found, key=lambda one: -one.overlap)

        asked = sorted({words_of(row.question) for row in rows})
        self.like: Mapping[Words, list[Likely]] = dict(zip(asked, pool.map(like, asked), strict=True))


class _Pictures:
    """Which pictures of training rows are pictures of test rows, where that is asked for."""

    def __init__(
        self,
        rows: Sequence[PromptRow],
        images: Path,
        tests: Sequence[PromptRow],
        test_images: Path,
        texts: _Texts,
        pool: ThreadPoolExecutor,
    ) -> None:
        our_paths, their_paths = (
            sorted({image.path for row in each for image in row.images}) for each in (rows, tests)
        )
        self._ours = {path: place for place, path in enumerate(our_paths)}
        self._theirs = {path: place for place, path in enumerate(their_paths)}
        self.owners = {self._theirs[image.path]: row for row in tests for image in row.images}
        self.wordless = {
            place: row for row in tests if not words_of(row.question) for place in self.places(row)
        }
        self._same: dict[int, dict[int, float]] = defaultdict(dict)
        if our_paths and their_paths:
            ours = read([images / path for path in our_paths], pool)
            theirs = read([test_images / path for path in their_paths], pool)
            for (i, j), correlation in same(ours, theirs, *self._asked(rows, texts), pool).items():
                self._same[i][j] = correlation

    def places(self, test: PromptRow) -> set[int]:
        """Those of a test row's pictures."""
        return {self._theirs[image.path] for image in test.images}

    def same(self, row: PromptRow) -> Iterator[tuple[int, float]]:
        """(Place, correlation) of those test pictures that are a picture of the row, the best first."""
        found = (pair for image in row.images for pair in self._same[self._ours[image.path]].items())
        return iter(sorted(found, key=lambda pair: (-pair[1], pair[0])))

    def _asked(self, rows: Sequence[PromptRow], texts: _Texts) -> tuple[Asked, Asked]:
        """What is compared: pictures of like questions, and all with those of questions without words."""
        ours: dict[Words, set[int]] = defaultdict(set)
        for row in rows:
            ours[words_of(row.question)] |= {self._ours[image.path] for image in row.images}
        theirs = [set().union(*(self.places(row) for row in those)) for those in texts.rows]
        of_theirs: dict[int, set[int]] = defaultdict(set)
        by_ours = []
        for words, places in ours.items():
            like = [likely.place for likely in texts.like[words]]
            by_ours.append((places, set(self.wordless).union(*(theirs[place] for place in like))))
            for place in like:
                of_theirs[place] |= places
        by_theirs = [(places, theirs[place]) for place, places in of_theirs.items()]
        by_theirs.append((set(self._ours.values()), set(self.wordless)))
        return _arrays(by_theirs), _arrays(by_ours)


def _arrays(asked: Sequence[tuple[set[int], set[int]]]) -> list[tuple[Places, Places]]:
    return [(np.array(sorted(a)), np.array(sorted(b))) for a, b in asked if a and b]


def _by_words(row: PromptRow, texts: _Texts, seen: _Pictures, close: list[Hit]) -> Hit | None:
    words = words_of(row.question)
    pictures = list(seen.same(row))
    for likely in texts.like[words]:
        text, tests = texts.texts[likely.place], texts.rows[likely.place]
        overlap = round(likely.overlap, 3)
        near_words = (
            min(len(text), len(words)) >= LONG
            and likely.overlap >= MIN_OVERLAP
            and containment(words, text) >= MIN_CONTAINMENT
        )
        if near_words and same_content(words, text):
            for test in (test for test in tests if not (test.images and row.images)):
                if likely.overlap >= MIN_OVERLAP_ONE_SIDED or not (test.images or row.images):
                    return Hit(row.id, _name(test), "words", overlap)
        for place, correlation in pictures:
            for test in tests:
                if place in seen.places(test):
                    return Hit(row.id, _name(test), "words and picture", overlap, correlation)
        if near_words:
            close.append(Hit(row.id, _name(tests[0]), "words", overlap))
    return None


def _by_picture(row: PromptRow, seen: _Pictures, close: list[Hit]) -> Hit | None:
    for place, correlation in seen.same(row):
        if test := seen.wordless.get(place):
            return Hit(row.id, _name(test), "picture", 0.0, correlation)
        close.append(Hit(row.id, _name(seen.owners[place]), "picture", 0.0, correlation))
    return None


def _name(row: PromptRow) -> str:
    return f"{row.source}/{row.id}"

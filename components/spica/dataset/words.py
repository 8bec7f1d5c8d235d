"""Which questions of the test sets use the words of a training question."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LONG = 8
"""Words from which on a text says enough to be compared by itself."""
NGRAM = 3

_TOKEN = re.compile(r"[\u3400-\u9fff]|[^\s\u3400-\u9fff]+")
_EDGES = ".,;:!?()[]{}<>\"'`$*=\u3001\u3002"  # NFKC makes the other Chinese ones Latin

Words = tuple[str, ...]


def words_of(text: str) -> Words:
    r"""Words after normalisation: NFKC, case folded, without punctuation and dollar signs at their edges.

    "What is $x^2$?" -> ("what", "is", "x^2"). A formula without spaces is one word, and so is each Chinese
    character.
    """
    tokens = _TOKEN.findall(unicodedata.normalize("NFKC", text).casefold())
    return tuple(word for token in tokens if (word := token.strip(_EDGES)))


class Likely(NamedTuple):
    """A text that shares words with the one that was looked up."""

    place: int
    overlap: float


class WordIndex:
    """An inverted index: word -> texts that have it; the n-th use of a word counts as a word of its own."""

    def __init__(self, texts: Sequence[Words]) -> None:
        """Indexes the texts; they are named by their places."""
        postings: dict[tuple[str, int], list[int]] = defaultdict(list)
        for place, text in enumerate(texts):
            for word in _numbered(text):
                postings[word].append(place)
        self._postings = {word: np.array(places, dtype=np.int32) for word, places in postings.items()}
        self._lengths = np.array([len(text) for text in texts], dtype=np.int32)

    def like(self, text: Words, min_overlap: float, min_overlap_short: float) -> Iterator[Likely]:
        """Texts that share enough words with this one, whatever their order.

        The overlap is the share of common words in the shorter text, where both are LONG, so that a question
        inside of a longer one is found; else in the longer text, since "find x" is a part of too much.

        Args:
            text: What is looked up.
            min_overlap: Share of words.
            min_overlap_short: The same where the longer text has less than five words.
        """
        found = [self._postings[word] for word in _numbered(text) if word in self._postings]
        if not found:
            return
        counts: NDArray[np.int64] = np.bincount(np.concatenate(found), minlength=len(self._lengths))
        shorter, longer = np.minimum(self._lengths, len(text)), np.maximum(self._lengths, len(text))
        overlaps = counts / np.maximum(np.where(shorter >= LONG, shorter, longer), 1)
        needed = np.where(longer < 5, min_overlap_short, min_overlap)
        for place in np.flatnonzero((overlaps >= needed) & (counts > 0)):
            yield Likely(int(place), float(overlaps[place]))


def containment(one: Words, other: Words) -> float:
    """Share of the shorter text's word n-grams that the longer one has, too; 0 where it has no n-gram."""
    mine, theirs = (_ngrams(text) for text in sorted((one, other), key=len))
    return len(mine & theirs) / len(mine) if mine else 0.0


def same_content(one: Words, other: Words) -> bool:
    """Whether two like texts speak of the same numbers and formulas: a third of the shorter text's.

    A long text with fewer than two of them says enough by its words.
    """
    shorter, longer = sorted((one, other), key=len)
    mine, theirs = (Counter(word for word in text if not word.isalpha()) for text in (shorter, longer))
    if not mine or (mine.total() < 2 and len(shorter) >= 20):
        return True
    return (mine & theirs).total() * 3 >= mine.total()


def _ngrams(text: Words) -> set[Words]:
    return {text[i : i + NGRAM] for i in range(len(text) - NGRAM + 1)}


def _numbered(text: Iterable[str]) -> Iterator[tuple[str, int]]:
    uses: Counter[str] = Counter()
    for word in text:
        yield word, uses[word]
        uses[word] += 1

"""Which of the usable samples are trained on: length bin, number of rows, held-out rows (tables 4 and 5)."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from spica.artifacts.tokenizer import load_tokenizer
from spica.dataset.rows import Sample
from spica.recipe.schema import Selection

log = logging.getLogger("spica.dataset")

BINS = ((0, 2000), (2000, 4000), (4000, 8000))
"""Table 4: more than the first and at most the second number of tokens."""


class Selected(NamedTuple):
    """Samples by what becomes of them."""

    train: list[Sample]
    val: list[Sample]
    num_other_length: int
    """Left out because their length lies outside of the bin."""
    num_not_drawn: int
    """Left out because more rows were there than asked for."""


def select(
    samples: Sequence[Sample],
    selection: Selection,
    num_val: int,
    seed: int,
    lengths: Mapping[tuple[str, int], int] | None,
) -> Selected:
    """Takes the length bin, holds rows out, draws from the rest; all by seed and ids alone.

    All trajectories of one question are held out, drawn or left out together, so that no question is trained
    on and validated; that may make a few rows more than asked for where several are kept per question.

    Args:
        samples: What may be trained on.
        selection: Length bin and number of training rows.
        num_val: Rows to hold out.
        seed: Of both draws.
        lengths: Tokens by question id and rollout index; needed for a length bin.
    """
    chosen = list(samples)
    if selection.length_bin is not None and lengths is not None:
        low, high = selection.length_bin
        chosen = [s for s in samples if low < lengths[s.rollout.id, s.rollout.index] <= high]
    val_ids = _first([s.prompt.id for s in chosen], num_val, f"{seed}/")
    rest = [s for s in chosen if s.prompt.id not in val_ids]
    num_rows = len(rest) if selection.num_rows is None else selection.num_rows
    if len(rest) < num_rows:
        log.warning("num_rows is %d but only %d rows can be trained on", num_rows, len(rest))
    drawn = _first([s.prompt.id for s in rest], num_rows, f"{seed}/rows/")
    train = [s for s in rest if s.prompt.id in drawn]
    val = [s for s in chosen if s.prompt.id in val_ids]
    if len(val) > len(train):
        log.warning("num_val %d holds out %d rows and leaves %d to train on", num_val, len(val), len(train))
    return Selected(train, val, len(samples) - len(chosen), len(rest) - len(train))


def _first(ids: Sequence[str], num_rows: int, salt: str) -> frozenset[str]:
    """The questions whose salted hash comes first, until their rows are so many."""
    counts: dict[str, int] = {}
    for one in ids:
        counts[one] = counts.get(one, 0) + 1
    taken: set[str] = set()
    num_taken = 0
    for one in sorted(counts, key=lambda id: hashlib.sha256(f"{salt}{id}".encode()).digest()):
        if num_taken >= num_rows:
            break
        taken.add(one)
        num_taken += counts[one]
    return frozenset(taken)


def token_lengths(samples: Sequence[Sample], student: Path) -> dict[tuple[str, int], int]:
    """Tokens of each response by the student's own tokenizer, by question id and rollout index.

    Args:
        samples: Whose responses are counted.
        student: A checkpoint's folder.

    Raises:
        DataError: Its tokenizer.json is missing or unreadable.
    """
    encoded = load_tokenizer(student).encode_batch(
        [s.rollout.response for s in samples], add_special_tokens=False
    )
    return {
        (sample.rollout.id, sample.rollout.index): len(one.ids)
        for sample, one in zip(samples, encoded, strict=True)
    }


def bin_name(num_tokens: int) -> str:
    """The bin of table 4 a length lies in."""
    for low, high in BINS:
        if num_tokens <= high:
            return f"({low},{high}]"
    return f"({BINS[-1][1]},)"

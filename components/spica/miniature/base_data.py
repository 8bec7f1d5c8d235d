"""What the base is trained on: dense documents, and chats that answer directly, without a thought.

Documents teach the primitives of thoughts (read an entry, do one step, find an option's letter) with loss on
the informative tokens alone. Chats teach the wrapper, the boxed answer and reading a question.
"""

from collections.abc import Sequence

import numpy as np

from spica.miniature.base_batches import Sample
from spica.miniature.pictures import grid
from spica.miniature.tokenizer import (
    BOXED,
    CHOICES,
    IM_END,
    IM_START,
    IMAGE_PAD,
    PREFIX_PHRASE,
    READ,
    VISION_END,
    VISION_START,
)
from spica.miniature.world import LETTERS, SYSTEM, Entry, Modality, Problem, Scene, sample_problem

_NUM_FACTS = 10
_PREFIX = (PREFIX_PHRASE, BOXED, "}", ".", "\n")
_OPEN_USER = (IM_START, "user", "\n")
_OPEN_ASSISTANT = (IM_END, "\n", IM_START, "assistant", "\n")


def lookup_document(rng: np.random.Generator, num_cells: int, modality: Modality) -> Sample:
    """A context, then every label in random order with its value; of one entry the label is a target too."""
    entries = sample_problem(rng, 1, num_cells).scene.entries
    sample = Sample(pictured=() if modality == "text" else entries)
    _add_picture(sample)
    if modality != "visual":
        sample.add([*_cells(entries), "\n"])
    for i in rng.permutation(num_cells):
        label, value = entries[i]
        sample.add([label], "copy" if num_cells == 1 else "")
        sample.add([str(value)], "read")
    return sample


def read_document(rng: np.random.Generator, num_cells: int, modality: Modality) -> Sample:
    """A context and an expression, then the expression's entries in its order: "c+h-g", "c4;+h9;-g6;".

    Finding one's place in a question is what lets long thoughts carry over to pictures.
    """
    entries = sample_problem(rng, 1, num_cells).scene.entries
    sample = Sample(pictured=() if modality == "text" else entries)
    _add_picture(sample)
    if modality != "visual":
        sample.add([*_cells(entries), "\n"])
    problem = _ask(rng, entries, int(rng.integers(1, num_cells + 1)))
    sample.add([*problem.expression, "\n"])
    _add_reads(sample, problem)
    return sample


def fact_document(rng: np.random.Generator) -> Sample:
    """Ten facts such as "8-9=9;": all sums, all differences or both; in half of them results are chained.

    Always both, differences stay at chance for 1,500 steps; one operator per document teaches them in 200.
    """
    sample, chained, result = Sample(), rng.random() < 0.5, int(rng.integers(10))
    operators = ("+", "-", "+-")[int(rng.integers(3))]
    for _ in range(_NUM_FACTS):
        left = result if chained else int(rng.integers(10))
        expression, result = _sample_fact(rng, left, operators)
        sample.add([*expression, "="])
        sample.add([str(result)], "fact")
        sample.add(";")
    return sample


def option_document(rng: np.random.Generator) -> Sample:
    """Options, then every value in random order with its letter: "7B;3A;"."""
    values = [int(v) for v in rng.permutation(10)[: int(rng.integers(2, 6))]]
    sample = Sample()
    sample.add([*_options(values), "\n"])
    for i in rng.permutation(len(values)):
        sample.add([str(values[i])])
        sample.add([LETTERS[i]], "letter")
        sample.add(";")
    return sample


def conversation(rng: np.random.Generator, num_cells: int, modality: Modality) -> Sample:
    """One or two turns about one scene, with the system message and, mostly, the paper's prefix."""
    entries = sample_problem(rng, 1, num_cells).scene.entries
    sample = Sample(pictured=() if modality == "text" else entries)
    sample.add([IM_START, "system", "\n", SYSTEM, IM_END, "\n", *_OPEN_USER])
    _add_picture(sample)
    reads, prefixed, num_turns = rng.random() < 0.6, rng.random() < 0.75, 1 if rng.random() < 0.7 else 2
    for turn in range(num_turns):
        if turn:
            sample.add(["\n", *_OPEN_USER])
        if prefixed:
            sample.add(_PREFIX)
        if turn == 0 and modality != "visual":
            sample.add([*_cells(entries), "\n"])
        last = turn == num_turns - 1
        (_add_read_turn if reads and last else _add_direct_turn)(sample, rng, entries)
    return sample


def _add_picture(sample: Sample) -> None:
    if sample.pictured:
        rows, columns = grid(len(sample.pictured))
        sample.add([VISION_START, *[IMAGE_PAD] * (rows * columns), VISION_END])


def _add_read_turn(sample: Sample, rng: np.random.Generator, entries: tuple[Entry, ...]) -> None:
    """Answers "read c+h-g" by "c4;+h9;-g6;", which binds the labels of a question to what is shown.

    Where the question has options, the last value's letter follows: "6B;".
    """
    problem = _ask(rng, entries, int(rng.integers(1, len(entries) + 1)))
    sample.add([READ, *problem.expression])
    last = dict(entries)[problem.expression[-1]]
    values = _sample_options(rng, last) if rng.random() < 0.4 else []
    if values:
        sample.add(["\n", *_options(values)])
    sample.add(_OPEN_ASSISTANT)
    _add_reads(sample, problem)
    if values:
        sample.add([str(last)], "form")
        sample.add([LETTERS[values.index(last)]], "letter")
        sample.add([";"], "form")
    sample.add([IM_END], "form")


def _add_reads(sample: Sample, problem: Problem) -> None:
    values = dict(problem.scene.entries)
    for token in problem.expression:
        sample.add([token], "copy")
        if token in values:
            sample.add([str(values[token])], "read")
            sample.add([";"], "form")


def _add_direct_turn(sample: Sample, rng: np.random.Generator, entries: tuple[Entry, ...]) -> None:
    kind = rng.random()
    if kind < 0.15:
        _add_fact_list(sample, rng)
        return
    if kind < 0.30:
        expression, value = _sample_fact(rng, int(rng.integers(10)))
        _add_boxed(sample, rng, expression, value, num_options=0)
    elif kind < 0.40:
        value = int(rng.integers(10))
        _add_boxed(sample, rng, str(value), value, num_options=4 + int(rng.integers(2)))
    else:
        steps = (
            1
            if kind < 0.75
            else 2
            if kind < 0.9 or len(entries) < 4
            else int(rng.integers(3, len(entries) + 1))
        )
        problem = _ask(rng, entries, steps)
        num_options = 4 + int(rng.integers(2)) if rng.random() < 0.3 else 0
        _add_boxed(sample, rng, problem.expression, problem.answer, num_options)
    sample.add([IM_END], "form")


def _add_fact_list(sample: Sample, rng: np.random.Generator) -> None:
    facts = [_sample_fact(rng, int(rng.integers(10))) for _ in range(3)]
    sample.add([token for expression, _ in facts for token in (*expression, ";")])
    sample.add(_OPEN_ASSISTANT)
    for expression, value in facts:
        sample.add([*expression, "="], "form")
        sample.add([str(value)], "fact")
        sample.add([";"], "form")
    sample.add([IM_END], "form")


def _add_boxed(
    sample: Sample, rng: np.random.Generator, expression: str, value: int, num_options: int
) -> None:
    sample.add([*expression, "=", "?"])
    answer, target = str(value), "boxed"
    if num_options:
        values = _sample_options(rng, value, num_options)
        sample.add(["\n", *_options(values)])
        answer, target = LETTERS[values.index(value)], "letter"
    sample.add([*_OPEN_ASSISTANT])
    sample.add([BOXED], "form")
    sample.add([answer], target)
    sample.add(["}"], "form")


def _sample_options(rng: np.random.Generator, value: int, num_options: int = 0) -> list[int]:
    """Distinct values in random order, `value` among them; 4 or 5 where `num_options` is 0."""
    others = [int(v) for v in rng.permutation(10) if v != value]
    num_others = (num_options or 4 + int(rng.integers(2))) - 1
    return [int(v) for v in rng.permutation([value, *others[:num_others]])]


def _sample_fact(rng: np.random.Generator, left: int, operators: str = "+-") -> tuple[str, int]:
    right, operator = int(rng.integers(10)), operators[int(rng.integers(len(operators)))]
    return f"{left}{operator}{right}", (left + right if operator == "+" else left - right) % 10


def _ask(rng: np.random.Generator, entries: tuple[Entry, ...], num_steps: int) -> Problem:
    asked = [entries[i][0] for i in rng.permutation(len(entries))[:num_steps]]
    signs = [1, *(int(s) for s in rng.choice([1, -1], num_steps - 1))]
    return Problem(Scene(entries, "table"), tuple(zip(signs, asked, strict=True)))


def _cells(entries: tuple[Entry, ...]) -> list[str]:
    return [f"{label.upper()}{value}" for label, value in entries]


def _options(values: Sequence[int]) -> list[str]:
    lines = [token for letter, v in zip(LETTERS, values, strict=False) for token in ("\n", f"({letter}) {v}")]
    return [CHOICES, *lines]

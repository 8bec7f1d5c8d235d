"""Scenes, problems and responses of the miniature world: the text side, deterministic from a generator.

A scene shows up to eight entries (label, value). A problem asks for a signed sum of some entries, modulo 10,
openly or with options. A long response reads one entry and does one arithmetic step at a time, in the paper's
response format; a short response is the boxed answer alone.
"""

import re
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np

Style = Literal["table", "bar", "dots"]
Modality = Literal["text", "visual", "both"]
Entry = tuple[str, int]
Term = tuple[int, str]

STYLES: tuple[Style, ...] = get_args(Style)
MODALITIES: tuple[Modality, ...] = get_args(Modality)
LABELS = "abcdefghij"
LETTERS = "ABCDE"
MAX_ENTRIES = 8
MAX_STEPS = 8

SYSTEM = "You are a helpful assistant."
PREFIX = r"Please first think deeply about the question, and then put the final answer in \boxed{}."
THOUGHT_OPEN = "<|begin_of_thought|>\n\n"
THOUGHT_TO_SOLUTION = "\n\n<|end_of_thought|>\n\n<|begin_of_solution|>\n\n"
SOLUTION_CLOSE = "\n\n<|end_of_solution|>"

_TERMS = re.compile(r"(?<![a-zA-Z])([a-j](?:[+-][a-j]){0,7})=\?")
_CELLS = re.compile(r"^((?:[A-J]\d){1,8})$", re.MULTILINE)
_OPTION = re.compile(r"^\(([A-E])\) (\d)$", re.MULTILINE)


@dataclass(frozen=True)
class Scene:
    """What is shown: entries in their order (labels distinct, values 0-9) and the style of the picture."""

    entries: tuple[Entry, ...]
    style: Style

    def __post_init__(self) -> None:
        labels = [label for label, _ in self.entries]
        if (
            not 1 <= len(labels) <= MAX_ENTRIES
            or len(set(labels)) < len(labels)
            or not set(labels) <= set(LABELS)
        ):
            raise ValueError(
                f"a scene has 1 to {MAX_ENTRIES} entries with distinct labels a-j, found {labels}"
            )
        if not all(0 <= value <= 9 for _, value in self.entries):
            raise ValueError(f"values are digits, found {self.entries}")

    @property
    def cells(self) -> str:
        """The entries as text, such as "F4G9A2"."""
        return "".join(f"{label.upper()}{value}" for label, value in self.entries)


@dataclass(frozen=True)
class Problem:
    """One question about one scene.

    Attributes:
        scene: The entries, as text or as a picture.
        terms: Signed labels, (+1, "c"), (-1, "h"); labels distinct, the first sign is +1.
        options: Distinct values, the answer among them; empty for an open question.
    """

    scene: Scene
    terms: tuple[Term, ...]
    options: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        labels = [label for _, label in self.terms]
        shown = {label for label, _ in self.scene.entries}
        if not 1 <= len(labels) <= MAX_STEPS or len(set(labels)) < len(labels) or not set(labels) <= shown:
            raise ValueError(
                f"terms name 1 to {MAX_STEPS} distinct labels of the scene {sorted(shown)}, found {labels}"
            )
        if self.terms[0][0] != 1 or not {sign for sign, _ in self.terms} <= {1, -1}:
            raise ValueError(f"signs are +1 or -1 and the first is +1, found {self.terms}")
        if self.options and (len(set(self.options)) < len(self.options) or self.answer not in self.options):
            raise ValueError(
                f"options are distinct and contain the answer {self.answer}, found {self.options}"
            )
        if len(self.options) > len(LETTERS):
            raise ValueError(f"at most {len(LETTERS)} options, found {len(self.options)}")

    @property
    def num_steps(self) -> int:
        """The number of terms, k."""
        return len(self.terms)

    @property
    def expression(self) -> str:
        """The terms as text, such as "c+h-g"."""
        return "".join(_signed(i, sign) + label for i, (sign, label) in enumerate(self.terms))

    @property
    def question(self) -> str:
        """The question alone: "c+h-g=?", with its options on lines of their own."""
        lines = [f"({letter}) {value}" for letter, value in zip(LETTERS, self.options, strict=False)]
        return "\n".join([f"{self.expression}=?", *(["Choices:", *lines] if lines else [])])

    @property
    def answer(self) -> int:
        """The value of the expression modulo 10."""
        values = dict(self.scene.entries)
        return sum(sign * values[label] for sign, label in self.terms) % 10

    @property
    def gold(self) -> str:
        """What belongs in the box: the digit, or the letter of the option."""
        return self.letter(self.answer) if self.options else str(self.answer)

    def letter(self, value: int) -> str:
        """The letter of the option that has this value.

        Raises:
            ValueError: No option has it.
        """
        return LETTERS[self.options.index(value)]

    def prompt(self, modality: Modality) -> str:
        """The user's text; for "visual" and "both" the picture comes right before it, before the prefix."""
        context = [] if modality == "visual" else [self.scene.cells]
        return "\n".join([PREFIX, *context, self.question])


class ParsedPrompt(NamedTuple):
    """What a prompt says; `entries` is None when only a picture shows them."""

    entries: tuple[Entry, ...] | None
    terms: tuple[Term, ...]
    options: tuple[int, ...]


def sample_problem(
    rng: np.random.Generator,
    num_steps: int,
    num_cells: int = MAX_ENTRIES,
    style: Style | None = None,
    num_options: int = 0,
) -> Problem:
    """Draws a scene and a question about it; `style` None draws one of the three.

    Raises:
        ValueError: More steps than cells, or a number outside the world.
    """
    if not 1 <= num_steps <= num_cells <= MAX_ENTRIES or not 0 <= num_options <= len(LETTERS):
        raise ValueError(f"no such problem: {num_steps} steps, {num_cells} cells, {num_options} options")
    labels = [LABELS[i] for i in rng.permutation(len(LABELS))[:num_cells]]
    entries = tuple(
        (label, int(value)) for label, value in zip(labels, rng.integers(0, 10, num_cells), strict=True)
    )
    scene = Scene(entries, style or STYLES[int(rng.integers(len(STYLES)))])
    asked = [labels[i] for i in rng.permutation(num_cells)[:num_steps]]
    signs = [1, *(int(s) for s in rng.choice([1, -1], num_steps - 1))]
    terms = tuple(zip(signs, asked, strict=True))
    return Problem(scene, terms, _sample_options(rng, Problem(scene, terms).answer, num_options))


def sample_slip(rng: np.random.Generator, problem: Problem) -> tuple[int, int]:
    """Draws (slip_at, slip_error) for `respond` so that the response ends well-formed and wrong."""
    wrong = [value for value in (problem.options or range(10)) if value != problem.answer]
    error = (int(rng.choice(wrong)) - problem.answer) % 10
    first = min(2, problem.num_steps)
    return int(rng.integers(first, problem.num_steps + 1)), error


def respond(problem: Problem, recheck: int = 0, slip_at: int | None = None, slip_error: int = 1) -> str:
    """The long response: the thought in its block, then the boxed answer in its block.

    Args:
        problem: The problem to solve.
        recheck: How many of the terms are read again after "Wait;" (0: no re-check).
        slip_at: The step (1..k) whose result is wrong by `slip_error`; the error propagates to the answer. At
            step 1 the entry is misread, later the arithmetic is wrong.
        slip_error: What is added to that result, 1..9. With options the wrong answer must be an option:
            take both from `sample_slip`.

    Raises:
        ValueError: The slip leads to a value that is no option.
    """
    values = dict(problem.scene.entries)
    thought, result = "", 0
    for i, (sign, label) in enumerate(problem.terms):
        error = slip_error if i + 1 == slip_at else 0
        operator, value = _signed(i, sign), values[label]
        if i == 0:
            value = result = (value + error) % 10
            thought += f"{label}{value};"
        else:
            before, result = result, (result + sign * value + error) % 10
            thought += f"{operator}{label}{value};{before}{operator}{value}={result};"
    if recheck:
        reads = (
            f"{_signed(i, sign)}{label}{values[label]};" for i, (sign, label) in enumerate(problem.terms)
        )
        thought += "Wait;" + "".join(list(reads)[:recheck]) + f"{result};"
    boxed = str(result)
    if problem.options:
        boxed = problem.letter(result)
        thought += f"{result}{boxed};"
    return f"{THOUGHT_OPEN}{thought}{THOUGHT_TO_SOLUTION}\\boxed{{{boxed}}}{SOLUTION_CLOSE}"


def short_response(problem: Problem) -> str:
    r"""The response of the control arm: "\boxed{7}"."""
    return f"\\boxed{{{problem.gold}}}"


def parse_prompt(text: str) -> ParsedPrompt:
    """Reads a prompt back, with or without the prefix before it.

    Raises:
        ValueError: The text asks no question of this world.
    """
    found = _TERMS.search(text)
    if found is None:
        raise ValueError(f"no question such as 'c+h=?' in {text[:200]!r}")
    terms = tuple(
        (-1 if sign == "-" else 1, label) for sign, label in re.findall(r"([+-]?)([a-j])", found[1])
    )
    cells = _CELLS.search(text)
    entries = None if cells is None else tuple((c[0].lower(), int(c[1])) for c in re.findall(r"..", cells[1]))
    return ParsedPrompt(
        entries, terms, tuple(int(value) for _, value in _OPTION.findall(text[found.end() :]))
    )


def _sample_options(rng: np.random.Generator, answer: int, num_options: int) -> tuple[int, ...]:
    if not num_options:
        return ()
    others = [int(v) for v in rng.permutation(10) if v != answer][: num_options - 1]
    return tuple(int(v) for v in rng.permutation([answer, *others]))


def _signed(position: int, sign: int) -> str:
    return "" if position == 0 else "+" if sign > 0 else "-"

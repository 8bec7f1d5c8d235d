"""Scores joined with the questions they answer, by id; what every number of the report is computed from."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from pydantic import BaseModel

from spica.answers.types import UNJUDGED
from spica.artifacts.rows import parse_lines
from spica.artifacts.types import PromptRow, Quarantined, Score
from spica.errors import DataError, Fault
from spica.recipe.schema import ARM_TASKS, Arm

RowT = TypeVar("RowT", bound=BaseModel)
DEV = "dev"
"""Score.source of the questions on which the best model is chosen."""


class Outcome(NamedTuple):
    """A score without its response."""

    correct: bool
    """Mode `repaired`, the headline."""
    parsed: bool
    num_tokens: int
    num_thought_tokens: int
    num_solution_tokens: int = 0
    num_thought_words: int = 0
    num_solution_words: int = 0
    cut: bool = False
    """Reached max_tokens."""
    unjudged: bool = False
    official: bool | None = None
    fork: bool | None = None


Answers = Mapping[str, Outcome]
"""PromptRow.id -> outcome of one arm under one repetition penalty."""


class Outcomes(NamedTuple):
    """Everything that was asked and what became of it.

    `benchmarks` and `dev` hold the questions by id; `scores[arm][penalty]` and `dev_scores[arm][penalty]`
    the outcomes.
    """

    benchmarks: Mapping[str, PromptRow]
    dev: Mapping[str, PromptRow]
    scores: Mapping[Arm, Mapping[float, Answers]]
    dev_scores: Mapping[Arm, Mapping[float, Answers]]
    headline_penalty: float

    @property
    def arms(self) -> tuple[Arm, ...]:
        """What is compared, in the order of table 2."""
        return tuple(self.scores)

    def headline(self, arm: Arm) -> Answers:
        """Outcomes on the benchmarks under the headline repetition penalty."""
        return self.scores[arm][self.headline_penalty]

    def headline_dev(self, arm: Arm) -> Answers:
        """Outcomes on the dev split under the headline repetition penalty."""
        return self.dev_scores[arm][self.headline_penalty]


def thinker(arms: Sequence[Arm]) -> Arm:
    """Whom the report tells of first: D_T, or the last arm where D_T is not compared."""
    return "D_T" if "D_T" in arms else arms[-1]


def read_rows(path: Path, row_type: type[RowT]) -> Iterator[RowT]:
    """Rows of a JSONL file one by one, so that a file may be larger than memory.

    Raises:
        DataError: a line is not such a row; the file belongs to a finished artifact, so nothing is
            quarantined.
    """
    bad: list[Quarantined] = []
    for row in parse_lines(path, row_type, bad):
        if bad:
            break
        yield row
    if bad:
        raise DataError(_fault(path.name, str(bad[0]), f"a {row_type.__name__} per line"))


def read_items(path: Path) -> dict[str, PromptRow]:
    """Questions of a row file by id, in their order.

    Raises:
        DataError: an id occurs twice.
    """
    items: dict[str, PromptRow] = {}
    for row in read_rows(path, PromptRow):
        if row.id in items:
            raise DataError(_fault(path.name, f"id {row.id!r} twice", "one row per id"))
        items[row.id] = row
    return items


def read_outcomes(held_out: Path, scores: Mapping[Arm, Path], headline_penalty: float) -> Outcomes:
    """Join the scores of all arms with the questions.

    Args:
        held_out: folder of the prompts artifact with benchmarks and dev.
        scores: folder of the scores artifact of every arm.
        headline_penalty: repetition penalty of the figures shown first.

    Raises:
        DataError: a score answers no question, a question has no score or two, or the headline penalty was
            not run.
    """
    items, dev_items = read_items(held_out / "prompts.jsonl"), read_items(held_out / "dev.jsonl")
    on_benchmarks: dict[Arm, dict[float, dict[str, Outcome]]] = {}
    on_dev: dict[Arm, dict[float, dict[str, Outcome]]] = {}
    for arm, folder in scores.items():
        on_benchmarks[arm], on_dev[arm] = {}, {}
        for row in read_rows(folder / "scores.jsonl", Score):
            target = on_dev[arm] if row.source == DEV else on_benchmarks[arm]
            answers = target.setdefault(row.repetition_penalty, {})
            if row.id in answers:
                raise DataError(_fault(f"evaluate-{ARM_TASKS[arm]}", f"two scores of {row.id!r}", "one"))
            answers[row.id] = _outcome(row)
        _check(arm, "benchmarks", on_benchmarks[arm], items, headline_penalty)
        _check(arm, "dev", on_dev[arm], dev_items, headline_penalty)
    return Outcomes(items, dev_items, on_benchmarks, on_dev, headline_penalty)


def _outcome(row: Score) -> Outcome:
    return Outcome(
        correct=row.correct,
        parsed=row.extracted is not None,
        num_tokens=row.num_tokens,
        num_thought_tokens=row.num_thought_tokens,
        num_solution_tokens=row.num_solution_tokens,
        num_thought_words=row.num_thought_words,
        num_solution_words=row.num_solution_words,
        cut=row.finish_reason == "length",
        unjudged=row.method == UNJUDGED,
        official=row.official,
        fork=row.fork,
    )


def _check(
    arm: Arm,
    split: str,
    answers: Mapping[float, Answers],
    items: Mapping[str, PromptRow],
    headline_penalty: float,
) -> None:
    where = f"evaluate-{ARM_TASKS[arm]}: {split}"
    if items and headline_penalty not in answers:
        found = ", ".join(str(penalty) for penalty in sorted(answers)) or "none"
        raise DataError(_fault(where, f"repetition penalties {found}", f"{headline_penalty} among them"))
    for penalty, by_id in answers.items():
        if odd := sorted(items.keys() ^ by_id.keys()):
            kind = "no score" if odd[0] in items else "a score without question"
            raise DataError(
                _fault(
                    f"{where}, repetition penalty {penalty}",
                    f"{kind}: {odd[0]!r} ({len(odd)} such ids)",
                    "one each",
                )
            )


def _fault(where: str, found: str, allowed: str) -> Fault:
    return Fault(where, found, allowed, "run the stage that wrote it again")

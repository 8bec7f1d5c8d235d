"""Official groups and the judge's agreement, as every evaluation's summary.json says them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from spica.recipe.schema import Arm


class Group(NamedTuple):
    """One group of one axis of one benchmark, such as level 3."""

    benchmark: str
    axis: str
    name: str
    n: int
    accuracy: Mapping[Arm, float]


class JudgeCard(NamedTuple):
    """Who judged words for one arm, and how far to be trusted."""

    model: str
    num_calls: int
    num_golden: int
    num_equal: int
    num_unjudged: int
    kappa: float | None


def read_breakdowns(scores: Mapping[Arm, Path], penalty: float) -> list[Group]:
    """Every group of every benchmark under one repetition penalty, in the order of the official reports.

    Args:
        scores: Folder of the scores artifact of every arm.
        penalty: Of the figures shown first.
    """
    found: dict[tuple[str, str, str], dict[Arm, Any]] = {}
    for arm, folder in scores.items():
        benchmarks = _summary(folder)["by_repetition_penalty"][str(penalty)]["benchmarks"]
        for benchmark, cell in benchmarks.items():
            for axis, groups in cell["groups"].items():
                for name, group in groups.items():
                    found.setdefault((benchmark, axis, name), {})[arm] = group
    return [
        Group(
            *key,
            n=next(iter(cells.values()))["n"],
            accuracy={arm: cell["accuracy"] for arm, cell in cells.items()},
        )
        for key, cells in found.items()
    ]


def read_judges(scores: Mapping[Arm, Path]) -> dict[Arm, JudgeCard]:
    """The judge of every arm that had one."""
    cards: dict[Arm, JudgeCard] = {}
    for arm, folder in scores.items():
        if card := _summary(folder).get("judge"):
            golden = card["golden"]
            cards[arm] = JudgeCard(
                card["model"],
                card["num_calls"],
                golden["num"],
                golden["num_equal"],
                golden["num_unjudged"],
                golden["kappa"],
            )
    return cards


def _summary(folder: Path) -> Any:
    return json.loads((folder / "summary.json").read_bytes())

"""What happened before the evaluation: rollouts and their pass rates, losses, data cards."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, Field

from spica.artifacts.types import Rollout
from spica.report.outcomes import read_rows


class Curve(NamedTuple):
    """One line of a plot: x and y of equal length."""

    x: list[float]
    y: list[float]


class Losses(NamedTuple):
    """Loss by optimizer step: of the training batches, and on the validation rows after every epoch."""

    train: Curve
    val: Curve


class PassRates(BaseModel):
    """pass_rates.json of a rollouts artifact; rates are shares of rollouts.

    Where rollouts were cancelled there are no rates: what was cancelled has no verdict.
    """

    overall: float | None = None
    by_source: dict[str, float] = Field(default_factory=dict)
    by_num_steps: dict[int, float] = Field(default_factory=dict)
    correct_histogram: dict[int, int] = Field(default_factory=dict)
    """Number of right rollouts of a question -> number of questions."""
    verdicts: dict[str, int]


class Rollouts(NamedTuple):
    """How often whom was right."""

    teacher: str
    rates: PassRates

    @property
    def num_rollouts(self) -> int:
        return sum(self.rates.verdicts.values())

    @property
    def by_steps(self) -> dict[int, float]:
        """Rates in the order of difficulty."""
        return dict(sorted(self.rates.by_num_steps.items()))

    @property
    def histogram(self) -> dict[int, int]:
        """`correct_histogram` without gaps, from none right on."""
        counts = self.rates.correct_histogram
        return {count: counts.get(count, 0) for count in range(max(counts, default=0) + 1)}


def read_losses(folder: Path) -> Losses:
    """Losses of a checkpoint artifact's metrics.jsonl."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_bytes().splitlines()]
    train = [(row["step"], row["loss"]) for row in rows if "loss" in row]
    val = [(row["step"], row["val_loss"]) for row in rows if "val_loss" in row]
    return Losses(
        *(Curve([step for step, _ in pairs], [loss for _, loss in pairs]) for pairs in (train, val))
    )


def read_rollouts(folder: Path) -> Rollouts:
    """Who was asked (the first rollout says it) and how often it was right."""
    first = next(read_rows(folder / "rollouts.jsonl", Rollout), None)
    rates = PassRates.model_validate_json((folder / "pass_rates.json").read_bytes())
    return Rollouts(first.teacher if first else "", rates)


def read_card(folder: Path) -> dict[str, Any]:
    """The card of a chat artifact."""
    card: dict[str, Any] = json.loads((folder / "card.json").read_bytes())
    return card

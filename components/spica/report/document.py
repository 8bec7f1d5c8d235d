"""report.json: every figure of the report, unrounded."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from spica.answers.proportion import Proportion
from spica.artifacts.manifest import Artifact, Manifest
from spica.artifacts.types import SCHEMA_VERSION
from spica.recipe.schema import Arm, Modality
from spica.recipe.slices import ReportSlice
from spica.report import tables
from spica.report.gates import GateResult, check_gates, items_of
from spica.report.headline import Headline, headline
from spica.report.lineage import Origin, trace
from spica.report.outcomes import ARMS, Outcomes
from spica.report.training import Losses, Rollouts, read_card, read_losses, read_rollouts


class Figures(NamedTuple):
    """What the report says; one field per section of the page."""

    headline: Headline
    headline_arms: Mapping[Arm, Proportion]
    """All arms on the items of the headline's claim."""
    gates: list[GateResult]
    table2: Mapping[Arm, Mapping[str, Proportion]]
    table3: Mapping[Arm, Mapping[str, Proportion]]
    by_steps: Mapping[Arm, Mapping[Modality, Mapping[int, Proportion]]]
    lengths: Mapping[Arm, Mapping[int, float]]
    benchmark_lengths: Mapping[Arm, Mapping[str, float]]
    glyphs: Mapping[Arm, Mapping[str, Proportion]]
    repetition_penalties: Mapping[Arm, Mapping[float, Proportion]]
    unparsed: Mapping[Arm, int]
    dev: Mapping[Arm, Proportion]
    best_model: Arm
    losses: Mapping[Arm, Losses]
    rollouts: Mapping[str, Rollouts]
    cards: Mapping[str, Mapping[str, Any]]
    lineage: list[Origin]


def compute(slice: ReportSlice, outcomes: Outcomes, inputs: Mapping[str, Artifact]) -> Figures:
    """Compute every figure.

    Args:
        slice: the gates to check.
        outcomes: the joined scores.
        inputs: all artifacts that went into the report, by task.
    """
    gates = check_gates(slice.gates, outcomes)
    top = headline(gates, outcomes)
    pooled = items_of(top.result.gate, outcomes)
    return Figures(
        headline=top,
        headline_arms={arm: tables.accuracy(pooled, outcomes.headline(arm)) for arm in ARMS},
        gates=gates,
        table2=tables.table2(outcomes),
        table3=tables.table3(outcomes),
        by_steps=tables.by_steps(outcomes),
        lengths=tables.lengths(outcomes),
        benchmark_lengths=tables.benchmark_lengths(outcomes),
        glyphs=tables.glyphs(outcomes),
        repetition_penalties=tables.repetition_penalties(outcomes),
        unparsed=tables.unparsed(outcomes),
        dev=tables.dev_accuracy(outcomes),
        best_model=tables.best_model(outcomes),
        losses={
            arm: read_losses(inputs[task].path) for arm in ARMS if (task := f"sft-{arm.lower()}") in inputs
        },
        rollouts={task: read_rollouts(inputs[task].path) for task in _of_kind(inputs, "rollouts")},
        cards={task: read_card(inputs[task].path) for task in _of_kind(inputs, "chat")},
        lineage=trace({task: artifact.manifest for task, artifact in inputs.items()}),
    )


def document(slice: ReportSlice, figures: Figures, manifests: Mapping[str, Manifest]) -> dict[str, Any]:
    """The content of report.json. Accuracies, gains and rates are shares in 0..1 (gains -1..1)."""
    top = figures.headline
    return {
        "schema_version": SCHEMA_VERSION,
        "recipe": slice.recipe,
        "profile": slice.profile,
        "seed": slice.seed,
        "headline": top.text,
        "headline_repetition_penalty": slice.headline_repetition_penalty,
        "best_model": figures.best_model,
        "dev": _cells(figures.dev),
        "table2": {
            arm: {**_cells(row), "mean": float(tables.mean_accuracy(row))}
            for arm, row in figures.table2.items()
        },
        "table3": {arm: _cells(row) for arm, row in figures.table3.items()},
        "by_steps": {
            arm: {modality: _cells(row) for modality, row in rows.items()}
            for arm, rows in figures.by_steps.items()
        },
        "gates": [_gate(result) for result in figures.gates],
        "glyphs": {arm: _cells(row) for arm, row in figures.glyphs.items()},
        "repetition_penalties": {arm: _cells(row) for arm, row in figures.repetition_penalties.items()},
        "unparsed": dict(figures.unparsed),
        "lengths": {
            arm: {str(steps): mean for steps, mean in row.items()} for arm, row in figures.lengths.items()
        },
        "benchmark_lengths": {arm: dict(row) for arm, row in figures.benchmark_lengths.items()},
        "pass_rates": {
            task: {"teacher": asked.teacher, **asked.rates.model_dump(mode="json")}
            for task, asked in figures.rollouts.items()
        },
        "losses": {
            arm: {"train": losses.train.y[-1:], "val": losses.val.y} for arm, losses in figures.losses.items()
        },
        "data_cards": dict(figures.cards),
        "stages": {
            task: {
                "wall_s": manifest.execution.wall_s,
                "cpu_s": manifest.execution.cpu_s,
                "tokens": manifest.execution.tokens,
            }
            for task, manifest in manifests.items()
        },
        "lineage": [
            {"task": o.task, "kind": o.kind, "key": o.key, "digest": o.digest, "inputs": dict(o.inputs)}
            for o in figures.lineage
        ],
    }


def _of_kind(inputs: Mapping[str, Artifact], kind: str) -> list[str]:
    return [task for task, artifact in inputs.items() if artifact.manifest.kind == kind]


def _cells(row: Mapping[Any, Proportion]) -> dict[str, dict[str, Any]]:
    return {
        str(name): {"accuracy": cell.accuracy, "ci95": list(cell.ci95), "n": cell.n}
        for name, cell in row.items()
    }


def _gate(result: GateResult) -> dict[str, Any]:
    return {
        "name": result.gate.name,
        "passed": result.passed,
        "gain": result.gain.gain,
        "ci95": list(result.gain.ci95),
        "n": result.gain.n,
        "reason": result.reason,
    }

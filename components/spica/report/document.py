"""report.json: every figure of the report, unrounded."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from spica.answers.proportion import Proportion
from spica.answers.types import Mode
from spica.artifacts.manifest import Artifact, Manifest
from spica.artifacts.types import SCHEMA_VERSION
from spica.recipe.schema import ARM_TASKS, Arm, Modality
from spica.recipe.slices import ReportSlice
from spica.report import modes, tables
from spica.report.breakdowns import Group, JudgeCard, read_breakdowns, read_judges
from spica.report.gates import GateResult, check_gates, items_of
from spica.report.headline import Headline, headline
from spica.report.lineage import Origin, trace
from spica.report.modes import ModeCell, PairedTest, Responses
from spica.report.outcomes import Outcomes
from spica.report.suite import suite
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
    modes: Mapping[Arm, Mapping[str, Mapping[Mode, ModeCell]]]
    paired: Mapping[Arm, Mapping[Arm, Mapping[str, PairedTest]]]
    responses: Mapping[Arm, Mapping[str, Responses]]
    groups: list[Group]
    judges: Mapping[Arm, JudgeCard]
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
    scores = {arm: inputs[f"evaluate-{ARM_TASKS[arm]}"].path for arm in outcomes.arms}
    pooled = items_of(top.result.gate, outcomes)
    return Figures(
        headline=top,
        headline_arms={arm: tables.accuracy(pooled, outcomes.headline(arm)) for arm in outcomes.arms},
        gates=gates,
        table2=tables.table2(outcomes),
        table3=tables.table3(outcomes),
        by_steps=tables.by_steps(outcomes),
        lengths=tables.lengths(outcomes),
        benchmark_lengths=tables.benchmark_lengths(outcomes),
        glyphs=tables.glyphs(outcomes),
        repetition_penalties=tables.repetition_penalties(outcomes),
        unparsed=tables.unparsed(outcomes),
        modes=modes.modes(outcomes),
        paired=modes.paired_tests(outcomes),
        responses=modes.responses(outcomes),
        groups=read_breakdowns(scores, slice.headline_repetition_penalty),
        judges=read_judges(scores),
        dev=tables.dev_accuracy(outcomes),
        best_model=tables.best_model(outcomes),
        losses={
            arm: read_losses(inputs[task].path)
            for arm in outcomes.arms
            if (task := f"sft-{ARM_TASKS[arm]}") in inputs
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
        "suite": suite(slice, figures.table2["base"], manifests),
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
        "modes": {
            arm: {name: {mode: _mode(cell) for mode, cell in cells.items()} for name, cells in row.items()}
            for arm, row in figures.modes.items()
        },
        "paired": {
            arm: {over: {name: _paired(test) for name, test in tests.items()} for over, tests in row.items()}
            for arm, row in figures.paired.items()
        },
        "responses": {
            arm: {name: cell._asdict() for name, cell in row.items()}
            for arm, row in figures.responses.items()
        },
        "groups": [group._asdict() for group in figures.groups],
        "judges": {arm: card._asdict() for arm, card in figures.judges.items()},
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


def _mode(cell: ModeCell) -> dict[str, Any] | str:
    if not cell.exists:
        return "n/a"
    share = cell.share
    return {
        "accuracy": None if share is None else share.accuracy,
        "ci95": None if share is None else list(share.ci95),
        "n": 0 if share is None else share.n,
        "num_unjudged": cell.num_unjudged,
    }


def _paired(test: PairedTest) -> dict[str, Any]:
    return {"gain": test.gain.gain, "ci95": list(test.gain.ci95), "n": test.gain.n, "p": test.p}


def _gate(result: GateResult) -> dict[str, Any]:
    return {
        "name": result.gate.name,
        "passed": result.passed,
        "gain": result.gain.gain,
        "ci95": list(result.gain.ci95),
        "n": result.gain.n,
        "reason": result.reason,
    }

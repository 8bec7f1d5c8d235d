"""What the tables say, as values: our cells out of the runs' reports, the paper's beside them."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from spica.answers.proportion import Proportion
from spica.artifacts.runs import Run
from spica.artifacts.store import Store
from spica.recipe.arms import ARM_TASKS, Arm
from spica.report.headline import BENCHMARK_NAMES
from spica.report.paper import OTHERS, TABLES
from spica.report.stats import mean, percent
from spica.report.tables import DIFFICULTIES
from spica_pipelines.tables import SUBJECTS, Columns, ComposedRun, Row, Table

SCHEMA_VERSION = 1
NUM_STEPS = (1, 2, 3, 4, 5, 6, 8)
"""Of the miniature's benchmark questions."""
POOLED = (2, 6)
"""Steps that the miniature's gate pools: those of training, but for the first, which every model can do."""
COLUMNS: Mapping[Columns, Mapping[str, str]] = {
    "benchmarks": {**BENCHMARK_NAMES, "mean": "Mean"},
    "difficulty": {level: level for level in (*DIFFICULTIES, "Overall")},
    "steps": {
        f"{modality} {steps}": f"{steps}"
        for modality in ("text", "visual")
        for steps in (*NUM_STEPS, f"{POOLED[0]}-{POOLED[1]}")
    },
}
"""Keys of a table's columns and how they are headed."""


class Made(NamedTuple):
    """A task of a run: its artifact, whether this run found it in the store, the seconds it once took."""

    task: str
    key: str
    cached: bool
    made_s: float


class Result(NamedTuple):
    """A composed run: finished, or with a word on why it is not."""

    run: ComposedRun
    run_id: str = ""
    """Empty where it is not finished."""
    wall_s: float = 0.0
    """Of the last time it was run, which found in the store what was there."""
    tasks: Sequence[Made] = ()
    report: Mapping[str, Any] = {}
    """Its report.json; empty where it is not finished."""
    unfinished: str = ""
    """What failed, or that it has not run yet; empty where it is finished."""


def result(run: ComposedRun, record: Run, report: Mapping[str, Any]) -> Result:
    """Join a composed run with its record and what its tasks once took."""
    store = Store.parse(record.store)
    tasks = []
    for task in record.tasks:
        manifest = store.find(task.task, task.key)
        tasks.append(Made(task.task, task.key, task.cached, manifest.execution.wall_s if manifest else 0.0))
    return Result(run, record.id, record.wall_s, tasks, report)


def document(
    tables: Mapping[str, Table], results: Sequence[Result], subject: str, profile: str, made_by: str
) -> dict[str, Any]:
    """The content of tables.json. Accuracies and intervals are shares in 0..1, the paper's are percent.

    Args:
        tables: by name.
        results: of all runs that these tables need, finished or not.
        subject: whose tables.
        profile: under which they ran.
        made_by: the sources that made the page; those of a run that was found in the store may be older.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "subject": subject,
        "miniature": subject == "miniature",
        "recipes": dict(SUBJECTS[subject]),
        "profile": profile,
        "made_by": made_by,
        "tables": [_table(name, table, results, subject) for name, table in tables.items()],
        "runs": list(_runs(results)),
        **_shared(results),
    }


def own_cells(report: Mapping[str, Any], arm: str, columns: Columns) -> dict[str, dict[str, Any]]:
    """One arm's cells by column: {accuracy, ci95, n, percent}; a mean has neither interval nor n.

    Without cells where the report lacks the arm or the table.
    """
    if columns == "steps":
        return dict(_steps_cells(report.get("by_steps", {}).get(arm, {})))
    found = report.get("table2" if columns == "benchmarks" else "table3", {}).get(arm, {})
    shares = {name: _proportion(cell) for name, cell in found.items() if name != "mean"}
    cells = {name: _cell(share) for name, share in shares.items()}
    if columns == "benchmarks" and shares:
        exact = mean([share.exact for share in shares.values()])
        cells["mean"] = {"accuracy": float(exact), "ci95": None, "n": None, "percent": percent(exact, 2)}
    return cells


def num_trained(report: Mapping[str, Any], arm: Arm) -> int | None:
    """Rows that an arm was trained on, those for validation left out; None where the report has no data."""
    task = ARM_TASKS[arm]
    cards = [report.get("data_cards", {}).get(f"dataset-{part}") for part in task.split("+")]
    if not all(cards):
        return None
    num: int = sum(card["num_rows"] - card["num_val"] for card in cards if card)
    return num


def _steps_cells(by_modality: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for modality, cells in by_modality.items():
        shares = {int(steps): _proportion(cell) for steps, cell in cells.items()}
        yield from ((f"{modality} {steps}", _cell(share)) for steps, share in shares.items())
        inside = [share for steps, share in shares.items() if POOLED[0] <= steps <= POOLED[1]]
        if inside:
            pooled = Proportion(sum(share.num_correct for share in inside), sum(share.n for share in inside))
            yield f"{modality} {POOLED[0]}-{POOLED[1]}", _cell(pooled)


def _proportion(cell: Mapping[str, Any]) -> Proportion:
    """The counts behind a cell: a float of 31.125 % lies below it, and would not be rounded half up."""
    return Proportion(round(cell["accuracy"] * cell["n"]), cell["n"])


def _cell(share: Proportion) -> dict[str, Any]:
    return {
        "accuracy": share.accuracy,
        "ci95": list(share.ci95),
        "n": share.n,
        "percent": percent(share.exact, 2),
    }


def _table(name: str, table: Table, results: Sequence[Result], subject: str) -> dict[str, Any]:
    published = TABLES.get(name, {})
    rows = [
        _row(row, found, table.columns, published, subject)
        for row in table.rows
        if (found := _result_of(name, row, results))
    ]
    return {
        "name": name,
        "title": table.title,
        "note": table.note,
        "kind": table.columns,
        "columns": dict(COLUMNS[table.columns]),
        "rows": rows,
        "others": {label: dict(cells) for label, cells in published.get(OTHERS, {}).items()},
        "means": _means(rows) if table.columns == "steps" else [],
    }


def _result_of(name: str, row: Row, results: Sequence[Result]) -> Result | None:
    found = (one for one in results if any(a.table == name and a.row == row for a in one.run.rows))
    return next(found, None)


def _row(
    row: Row, found: Result, columns: Columns, published: Mapping[str, Any], subject: str
) -> dict[str, Any]:
    ours = own_cells(found.report, row.arm, columns)
    paper = published.get(row.size, {}).get(row.published, {})
    return {
        "label": row.label,
        "size": row.size,
        "arm": row.arm,
        "miniature": subject == "miniature",
        "run": found.run.name,
        "run_id": found.run_id,
        "digest": _digest(found.run),
        "num_trained": num_trained(found.report, row.arm),
        "cells": {key: {"ours": ours.get(key), "paper": paper.get(key)} for key in COLUMNS[columns]},
    }


def _means(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """By arm: mean, lowest and highest over the finished runs that have it."""
    by_arm: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["run_id"]:
            by_arm.setdefault(row["arm"], []).append(row["cells"])
    return [
        {
            "arm": arm,
            "num_runs": len(many),
            "cells": {
                key: _spread([cells[key]["ours"]["accuracy"] for cells in many])
                for key in many[0]
                if all(cells[key]["ours"] for cells in many)
            },
        }
        for arm, many in by_arm.items()
    ]


def _spread(accuracies: Sequence[float]) -> dict[str, float]:
    return {
        "mean": float(mean([Fraction(value) for value in accuracies])),
        "lowest": min(accuracies),
        "highest": max(accuracies),
    }


def _runs(results: Sequence[Result]) -> Iterator[dict[str, Any]]:
    """Each run, and what it brought that no run before it in this list has."""
    seen: set[tuple[str, str]] = set()
    for one in results:
        new = [task for task in one.tasks if (task.task, task.key) not in seen]
        seen |= {(task.task, task.key) for task in one.tasks}
        yield {
            "name": one.run.name,
            "run_id": one.run_id,
            "digest": _digest(one.run),
            "arms": list(one.run.arms),
            "rows": [f"{asked.table}: {asked.row.label}" for asked in one.run.rows],
            "unfinished": one.unfinished,
            "wall_s": one.wall_s,
            "num_tasks": len(one.tasks),
            "num_executed": sum(not task.cached for task in one.tasks),
            "num_cached": sum(task.cached for task in one.tasks),
            "num_first": len(new),
            "first_s": round(sum(task.made_s for task in new), 1),
        }


def _shared(results: Sequence[Result]) -> dict[str, Any]:
    """What sharing saved: tasks of all runs, the artifacts they are, and their seconds."""
    tasks = [task for one in results for task in one.tasks]
    artifacts = {(task.task, task.key): task.made_s for task in tasks}
    return {
        "num_finished": sum(not one.unfinished for one in results),
        "num_tasks": len(tasks),
        "num_artifacts": len(artifacts),
        "artifacts_s": round(sum(artifacts.values()), 1),
        "unshared_s": round(sum(task.made_s for task in tasks), 1),
    }


def _digest(run: ComposedRun) -> str:
    """Of the recipe's text."""
    return hashlib.sha256(run.text.encode()).hexdigest()


def as_json(content: Mapping[str, Any]) -> str:
    """The text of tables.json."""
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

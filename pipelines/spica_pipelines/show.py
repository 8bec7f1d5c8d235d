"""What `spica show` and `spica runs` print."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

from spica.artifacts.manifest import Artifact
from spica.recipe.load import Resolved
from spica.recipe.plan import Derived, derive, num_training_rows, plan

if TYPE_CHECKING:
    from spica.answers import Parts
    from spica.artifacts.runs import Run

LABELS = {
    "num_ranks": "ranks",
    "batch_size": "samples per step",
    "samples_per_rank": "samples per rank, mean",
    "max_tokens_per_step": "tokens per step, max",
    "num_rows": "rows, max",
    "steps_per_epoch": "steps per epoch",
    "rows_left_out": "rows left out per epoch",
    "total_steps": "steps",
    "warmup_steps": "warm-up steps",
    "epoch_end_steps": "checkpoints at steps",
    "model_state_gib": "state per rank (MODEL)",
}


def as_values(resolved: Resolved) -> dict[str, Any]:
    """The recipe, its scale, per arm the derived numbers (null where num_rows is absent), all slices."""
    return {
        "path": resolved.path,
        "recipe": resolved.recipe.model_dump(mode="json", exclude={"profiles"}),
        "profile": resolved.profile,
        "scale": resolved.scale.model_dump(mode="json"),
        "derived": {arm: numbers and numbers._asdict() for arm, numbers in _derived(resolved).items()},
        "tasks": {task: slice.model_dump(mode="json") for task, slice in plan(resolved).items()},
    }


def as_tables(resolved: Resolved) -> None:
    """Print the same as tables."""
    console = Console(highlight=False)
    recipe, scale = resolved.recipe, resolved.scale
    console.print(f"[bold]{recipe.name}[/] under [bold]{resolved.profile}[/]  ({_plain(resolved.path)})\n")
    values = recipe.model_dump(mode="json", exclude={"profiles", "sources", "gates"})
    console.print(_pairs("recipe", list(_flat(values, ""))))
    console.print(_sources(resolved))
    console.print(_gates(resolved))
    console.print(_pairs(f"scale: {resolved.profile}", list(_flat(scale.model_dump(mode="json"), ""))))
    console.print(_numbers(resolved))
    console.print(
        f"{scale.num_nodes * scale.ranks_per_node} ranks = {scale.num_nodes} x {scale.ranks_per_node}. Every "
        "epoch shuffles all rows anew and leaves out the last rows % batch_size of that order; rows count"
        " num_kept responses per question, less num_val, or num_rows of the data set."
    )


def runs_table(runs: Sequence["Run"]) -> None:
    """Print runs, one line each."""
    table = _table("runs", "run", "profile", "status", "tasks", "cached", "wall s")
    table.columns[0].no_wrap = True
    for run in runs:
        cached = sum(task.cached for task in run.tasks)
        table.add_row(run.id, run.profile, run.status, str(len(run.tasks)), str(cached), f"{run.wall_s:.0f}")
    Console(highlight=False).print(table)


def print_end(artifacts: Mapping[str, Artifact]) -> None:
    """Print what a run found: headline, gates, the served answer, where the report lies."""
    console = Console(highlight=False)
    found = json.loads((artifacts["report"].path / "report.json").read_text())
    answer = json.loads((artifacts["serve"].path / "answer.json").read_text())
    console.rule()
    console.print(_plain(found["headline"]), style="bold")
    for gate in found["gates"]:
        mark = "[green]passed[/]" if gate["passed"] else "[red]failed[/]"
        console.print(f"  {mark}  {_plain(gate['name'])}: {_plain(gate['reason'])}")
    console.rule(f"one question to {answer['model']}")
    for part in ("question", "thought", "solution"):
        console.print(f"[bold]{part}[/]\n{_plain(answer[part].strip())}\n")
    console.print(f"report: {artifacts['report'].path / 'report.html'}")


def print_reply(reply: "Parts") -> None:
    """Print a thought and its solution, apart."""
    console = Console(highlight=False)
    for part, text in (("thought", reply.thought), ("solution", reply.solution)):
        console.print(f"[bold]{part}[/]\n{_plain(text.strip())}\n")


def _derived(resolved: Resolved) -> dict[str, Derived | None]:
    rows = num_training_rows(resolved.recipe)
    return {arm: None if count is None else derive(resolved, count) for arm, count in rows.items()}


def _flat(values: dict[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        elif value is not None:
            yield prefix + key, ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _table(title: str, *columns: str) -> Table:
    table = Table(*columns, title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.padding = (0, 1, 0, 0)
    return table


def _pairs(title: str, rows: Sequence[tuple[str, str]]) -> Table:
    table = _table(title, "key", "value")
    for key, value in rows:
        table.add_row(key, _plain(value))
    return table


def _sources(resolved: Resolved) -> Table:
    table = _table("sources", "part", "name", "rows", "uri")
    for part, listed in resolved.recipe.sources:
        for source in listed:
            table.add_row(part, source.name, str(source.num_rows or "all"), _plain(source.uri))
        table.add_section()
    return table


def _gates(resolved: Resolved) -> Table:
    table = _table("gates", "claim", "model - over", "on", "gain")
    for gate in resolved.recipe.gates:
        steps = f"steps {gate.steps[0]}..{gate.steps[1]}" if gate.steps else None
        on = " ".join(filter(None, (gate.benchmark, gate.modality, steps))) or "all benchmarks"
        least = None if gate.min_gain is None else f">= {gate.min_gain}"
        most = None if gate.max_gain is None else f"<= {gate.max_gain}"
        table.add_row(
            _plain(gate.name), f"{gate.model} - {gate.over}", on, ", ".join(filter(None, (least, most)))
        )
    return table


def _numbers(resolved: Resolved) -> Table:
    derived = _derived(resolved)
    table = _table("derived", "", *derived)
    for field, label in LABELS.items():
        unit = " GiB" if field.endswith("_gib") else ""
        table.add_row(
            label, *(_number(numbers and getattr(numbers, field), unit) for numbers in derived.values())
        )
    return table


def _number(value: Any, unit: str) -> str:
    if value is None:
        return "-"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) if len(value) < 6 else f"{value[0]}, {value[1]}, ... {value[-1]}"
    return f"{value:,.1f}{unit}" if isinstance(value, float) else f"{value:,}"


def _plain(text: str) -> str:
    """Text that rich must not read as markup."""
    return text.replace("[", r"\[")

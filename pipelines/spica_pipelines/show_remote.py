"""What `spica submit`, `status` and `cancel` print."""

import os
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from spica_pipelines.remote import RemoteRun, RemoteTask, log_command
from spica_pipelines.server import Server
from spica_pipelines.submit import Order, Submitted

ENDPOINT_VARIABLE = "KFP_ENDPOINT"
COLOURS = {"succeeded": "green", "failed": "red", "running": "yellow"}


def print_submitted(made: Submitted, order: Order, server: Server) -> None:
    """Say what was started, where to look and what to type next."""
    where = _options(server, order.namespace)
    lines = {
        f"run {made.run}": f"{order.resolved.recipe.name} under {order.resolved.profile}",
        "pipeline": made.version,
        "store": made.store,
        "look": server.page_of(made.id) or f"no page at {server.endpoint}; there the run is {made.id}",
        "next": f"spica status {made.run}{where}",
        "": f"spica logs {made.run} TASK{where}",
        " ": f"spica cancel {made.run}{where}",
    }
    for label, text in lines.items():
        print(
            f"{label}: {text}"
            if label.startswith("run")
            else f"  {label + ':' if label.strip() else '':10}{text}"
        )


def print_status(run: RemoteRun, server: Server, namespace: str) -> None:
    """Print all tasks of a run, what failed and why, and where the report lies."""
    console = Console(highlight=False)
    console.print(
        f"[bold]{escape(run.run)}[/]: {escape(run.recipe)} under {escape(run.profile)}, {_verdict(run)}"
    )
    table = Table("task", "state", "wall s", "artifact", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for task in run.tasks:
        colour = COLOURS.get(task.state, "default")
        wall = "" if task.wall_s is None else f"{task.wall_s:.0f}"
        table.add_row(task.name, f"[{colour}]{escape(task.state)}[/]", wall, _artifact(task))
    console.print(table)
    for task in run.tasks:
        if task.error:
            console.print(f"[bold]{escape(task.name)}[/]: {task.state}")
            print("\n".join(f"  {line}" for line in task.error.splitlines()))
        if task.state in ("pending", "running") and task.pods:
            print(f"{task.name}: {log_command(run, task)}")
    if run.is_lost:
        print(f"the engine has reported nothing of this run for {run.wall_s:.0f} s: it lost it, or is down")
        print(f"  kubectl get workflows -A -l pipeline/runid={run.id}")
    for label, text in _next(run, server, namespace):
        print(f"{label}: {text}")


def print_ended(run: str, was_running: bool, server: Server, namespace: str) -> None:
    """Say what a `spica cancel` did."""
    if not was_running:
        print(f"{run}: it had ended before")
    else:
        print(f"{run}: ended; the reaper ends its jobs and servers within seconds")
        print("what is in the store stays, and the same `spica submit` goes on from there")
    print(f"next: spica status {run}{_options(server, namespace)}")


def as_values(run: RemoteRun) -> dict[str, Any]:
    """The same as one JSON object."""
    tasks = [
        {
            **task._asdict(),
            "record": task.record and task.record.model_dump(mode="json", exclude_defaults=True),
        }
        for task in run.tasks
    ]
    return {**run._asdict(), "verdict": run.verdict, "tasks": tasks}


def _verdict(run: RemoteRun) -> str:
    text = f"{run.verdict} after {run.wall_s:.0f} s"
    if run.verdict != run.state:
        text += f" (the server says {run.state}, but {_listed([task.name for task in run.failed])} failed)"
    return text


def _artifact(task: RemoteTask) -> str:
    if task.record is None or not task.record.digest:
        return ""
    return f"{task.record.digest[:12]}{', from the store' if task.record.cached else ''}"


def _next(run: RemoteRun, server: Server, namespace: str) -> list[tuple[str, str]]:
    where = _options(server, namespace)
    report = next((task.record for task in run.tasks if task.name == "report" and task.record), None)
    lines = []
    if report and report.uri:
        lines.append(("report", f"{report.uri}/report.html"))
    if run.failed:
        lines.append(("next", f"spica logs {run.run} {run.failed[0].name}{where}"))
    elif run.has_ended and report:
        lines.append(("next", f"spica report --run {run.run}{where}"))
    elif run.is_lost:
        lines.append(("next", "if there is no workflow, submit again: what is in the store stays"))
    elif not run.has_ended:
        lines.append(("next", f"spica cancel {run.run}{where}"))
    return lines


def _options(server: Server, namespace: str) -> str:
    """What the next command must be told again."""
    known = os.environ.get(ENDPOINT_VARIABLE, "").rstrip("/") == server.endpoint
    endpoint = "" if known else f" --endpoint {server.endpoint}"
    return endpoint + (f" --namespace {namespace}" if server.health.multi_user else "")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)

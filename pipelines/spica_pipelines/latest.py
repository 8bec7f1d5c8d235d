"""What the latest finished run of this folder made."""

import json
from collections.abc import Sequence
from typing import NamedTuple

from spica.artifacts.manifest import Artifact, Manifest
from spica.artifacts.runs import list_runs
from spica.artifacts.store import Store
from spica.artifacts.workspace import state_folder
from spica.errors import Fault, PrerequisiteError
from spica.recipe.arms import Arm, checkpoint_task


def latest(*tasks: str) -> dict[str, Artifact]:
    """The verified artifacts of some tasks, from the latest run that finished them all.

    Raises:
        PrerequisiteError: no run of this folder got that far.
    """
    found = _latest_run(tasks)
    return {task: found.open(task) for task in tasks}


def best_checkpoint() -> tuple[Arm, Artifact]:
    """The arm that the latest report chose on the dev questions, and its checkpoint."""
    found = _latest_run(("report", "serve"))
    arm: Arm = json.loads((found.open("report").path / "report.json").read_text())["best_model"]
    return arm, found.open(checkpoint_task(arm))


class _Finished(NamedTuple):
    """A run, by what it left in a store."""

    store: Store
    keys: dict[str, str]

    def find(self, task: str) -> Manifest | None:
        return self.store.find(task, self.keys[task]) if task in self.keys else None

    def open(self, task: str) -> Artifact:
        if manifest := self.find(task):
            return self.store.open(manifest)
        raise PrerequisiteError(_fault(task))


def _latest_run(tasks: Sequence[str]) -> _Finished:
    for run in list_runs(state_folder()):
        found = _Finished(
            Store.parse(run.store), {record.task: record.key for record in run.tasks if record.key}
        )
        if all(map(found.find, tasks)):
            return found
    raise PrerequisiteError(_fault(*tasks))


def _fault(*tasks: str) -> Fault:
    where = str(state_folder() / "runs")
    return Fault(where, f"no run with {', '.join(tasks)}", "a finished run", "spica run miniature")

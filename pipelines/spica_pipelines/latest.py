"""What the latest finished run of this folder made."""

import json

from spica.artifacts.manifest import Artifact
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
    for run in list_runs(state_folder()):
        records = {record.task: record for record in run.tasks if record.key}
        if all(task in records for task in tasks):
            store = Store.parse(run.store)
            found = {task: store.find(task, records[task].key) for task in tasks}
            if all(found.values()):
                return {task: store.open(manifest) for task, manifest in found.items() if manifest}
    where = str(state_folder() / "runs")
    raise PrerequisiteError(
        Fault(where, f"no run with {', '.join(tasks)}", "a finished run", "spica run miniature")
    )


def best_checkpoint() -> tuple[Arm, Artifact]:
    """The arm that the latest report chose on the dev questions, and its checkpoint."""
    report = latest("report", "serve")["report"]
    arm: Arm = json.loads((report.path / "report.json").read_text())["best_model"]
    return arm, latest("report", "serve", checkpoint_task(arm))[checkpoint_task(arm)]

"""Run the pipeline on this machine through KFP's local runner: the graph that a cluster runs."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from kfp import local

from spica.artifacts.disk import require_free
from spica.artifacts.manifest import Artifact
from spica.artifacts.runs import start_run, task_records
from spica.artifacts.store import Store
from spica.artifacts.workspace import state_folder
from spica.errors import Fault, SpicaError, StageError
from spica.recipe.load import Resolved
from spica.task import OWNER_VARIABLE, PROGRESS_MARK
from spica_pipelines.post_training import post_training

# A run of the miniature writes about 0.2 GB; the rest is room for logs and training checkpoints.
NEEDED_BYTES = 2 << 30


def run_locally(resolved: Resolved, text: str) -> dict[str, Artifact]:
    """Run a recipe to its end (or from where an earlier run stopped) and return the last artifacts.

    Args:
        resolved: the recipe under a profile whose launcher is local.
        text: the recipe's YAML text, the pipeline's parameter.

    Returns:
        The artifacts of the tasks `report` and `serve`.

    Raises:
        LockedError: another run goes on in this folder.
        PrerequisiteError: disk full and the like.
        SpicaError: whatever the failed task raised, with its exit code.
    """
    state = state_folder()
    recipe = resolved.recipe
    if resolved.store.startswith("file://"):
        require_free(Path(resolved.store.removeprefix("file://")), NEEDED_BYTES)
    with start_run(state, recipe.name, resolved.profile, NEEDED_BYTES, resolved.store) as run:
        folder = state / "runs" / run.id
        print(f"run {run.id}: {recipe.name} under {resolved.profile}, log in {_short(folder / 'log.txt')}")
        local.init(
            runner=local.SubprocessRunner(use_venv=False),
            pipeline_root=str(folder / "kfp"),
            raise_on_error=True,
            enable_caching=False,
        )
        os.environ[OWNER_VARIABLE] = str(os.getpid())
        os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        os.environ["PYTHONUNBUFFERED"] = "1"
        with (folder / "log.txt").open("w", buffering=1) as log, _only_progress(log):
            try:
                post_training(recipe=text, profile=resolved.profile, run=run.id)
            except RuntimeError as error:
                raise _fault_of(state, run.id, error, folder / "log.txt") from None
        store, records = Store.parse(resolved.store), task_records(state, run.id)
        manifests = {task: store.find(task, records[task].key) for task in ("report", "serve")}
        return {task: store.open(manifest) for task, manifest in manifests.items() if manifest}


def _fault_of(state: Path, run: str, error: RuntimeError, log: Path) -> SpicaError:
    """The error of the task that failed; KFP itself reports only that one did."""
    for record in task_records(state, run).values():
        if record.faults:
            failure = SpicaError(*record.faults)
            failure.exit_code = record.exit_code
            return failure
    return StageError(Fault("pipeline", str(error), "every task succeeds", f"read the end of {_short(log)}"))


def _short(path: Path) -> str:
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)


class _Progress:
    """Standard output of the runner: everything into the log, the tasks' own lines on the terminal too."""

    def __init__(self, log: TextIO, terminal: TextIO) -> None:
        self._log = log
        self._terminal = terminal
        self._line = ""

    def write(self, text: str) -> int:
        self._log.write(text)
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            found = line.lstrip()
            if found.startswith(PROGRESS_MARK):
                self._terminal.write(found.removeprefix(PROGRESS_MARK) + "\n")
            elif " WARNING]: " in found:
                self._terminal.write("warning: " + found.partition(" WARNING]: ")[2] + "\n")
        self._terminal.flush()
        return len(text)

    def flush(self) -> None:
        self._log.flush()


@contextlib.contextmanager
def _only_progress(log: TextIO) -> Iterator[None]:
    with contextlib.redirect_stdout(_Progress(log, sys.stdout)):
        yield

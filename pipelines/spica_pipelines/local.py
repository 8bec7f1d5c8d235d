"""Run the pipeline on this machine through KFP's local runner: the graph that a cluster runs."""

import contextlib
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Self, TextIO

from kfp import local

from spica.artifacts.disk import require_free
from spica.artifacts.manifest import Artifact
from spica.artifacts.runs import start_run, task_records
from spica.artifacts.store import Store
from spica.artifacts.workspace import state_folder
from spica.errors import Fault, SpicaError, StageError
from spica.launch.processes import Process, adopt_orphans, descendants, kill
from spica.recipe.load import Resolved
from spica.task import OWNER_VARIABLE, PROGRESS_MARK
from spica_pipelines.post_training import post_training

# A run of the miniature writes about 0.2 GB; the rest is room for logs and training checkpoints.
NEEDED_BYTES = 2 << 30
_STOPPING = b"spica: stopping, the running task saves what it has (once more: without waiting)\n"
_ALL_KEPT = "nothing is lost"


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
        KeyboardInterrupt: Ctrl-C or SIGTERM; says what is kept.
    """
    state = state_folder()
    recipe = resolved.recipe
    if resolved.store.startswith("file://"):
        require_free(Path(resolved.store.removeprefix("file://")), NEEDED_BYTES)
    with start_run(state, recipe.name, resolved.profile, NEEDED_BYTES, resolved.store) as run:
        folder = state / "runs" / run.id
        print(f"run {run.id}: {recipe.name} under {resolved.profile}, log in {_short(folder / 'log.txt')}")
        # Steps name the image of a cluster; here the package itself is installed, which is the same.
        warnings.filterwarnings("ignore", ".*uses custom or non-Python base image", RuntimeWarning)
        local.init(
            runner=local.SubprocessRunner(use_venv=False),
            pipeline_root=str(folder / "kfp"),
            raise_on_error=True,
            enable_caching=False,
        )
        os.environ[OWNER_VARIABLE] = str(os.getpid())
        os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        os.environ["PYTHONUNBUFFERED"] = "1"
        with (folder / "log.txt").open("w", buffering=1) as log, _Stop() as stop, _only_progress(log, stop):
            try:
                post_training(recipe.compared)(recipe=text, profile=resolved.profile, run=run.id)
            except RuntimeError as error:
                if failure := _failure(state, run.id):
                    raise failure from None
                if stop.number:
                    raise KeyboardInterrupt(_ALL_KEPT) from None
                advice = f"read the end of {_short(folder / 'log.txt')}"
                raise StageError(Fault("pipeline", str(error), "every task succeeds", advice)) from None
        store, records = Store.parse(resolved.store), task_records(state, run.id)
        manifests = {task: store.find(task, records[task].key) for task in ("report", "serve")}
        return {task: store.open(manifest) for task, manifest in manifests.items() if manifest}


def _failure(state: Path, run: str) -> SpicaError | None:
    """The error of the task that failed; KFP itself reports only that one did."""
    for record in task_records(state, run).values():
        if record.faults:
            failure = SpicaError(*record.faults)
            failure.exit_code = record.exit_code
            return failure
    return None


def _short(path: Path) -> str:
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)


class _Stop:
    """What Ctrl-C and SIGTERM do while the pipeline runs.

    The first is passed on to the running task, which saves what it has while KFP waits for its end. The
    second leaves at once, and what still runs ends too: tasks watch this process (`spica.task`).
    """

    number = 0
    """The signal that came; 0: none."""

    def __enter__(self) -> Self:
        adopt_orphans()  # KFP starts a task through a shell, which a signal ends before the task
        self._before = {
            number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)
        }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self.number:
            raise KeyboardInterrupt
        self.number = number
        with contextlib.suppress(OSError):
            os.write(2, _STOPPING)  # print() may be what was interrupted, and cannot be entered twice
        if not self.tell():
            raise KeyboardInterrupt(_ALL_KEPT)

    def tell(self) -> int:
        """Pass the signal on, except to what guards keep (other sessions); returns to how many."""
        return kill(filter(_in_this_group, descendants(os.getpid())), self.number)


def _in_this_group(process: Process) -> bool:
    with contextlib.suppress(ProcessLookupError):
        return os.getpgid(process.pid) == os.getpgrp()
    return False


class _Progress:
    """Standard output of the runner: everything into the log, the tasks' own lines on the terminal too."""

    def __init__(self, log: TextIO, terminal: TextIO, stop: _Stop) -> None:
        self._log = log
        self._terminal = terminal
        self._stop = stop
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
        if self._stop.number:
            self._stop.tell()  # a task that began, or had not yet got ready to listen, when the signal came
        return len(text)

    def flush(self) -> None:
        self._log.flush()


@contextlib.contextmanager
def _only_progress(log: TextIO, stop: _Stop) -> Iterator[None]:
    with contextlib.redirect_stdout(_Progress(log, sys.stdout, stop)):
        yield

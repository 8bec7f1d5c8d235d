"""Runs: one at a time per state folder, each with an id and a record that outlives it."""

import logging
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from spica.artifacts.disk import atomic_file, is_alive, require_free
from spica.artifacts.journal import Journal
from spica.artifacts.locks import held, read_holder
from spica.artifacts.manifest import Manifest
from spica.artifacts.rows import parse_lines
from spica.artifacts.types import Quarantined, Row
from spica.errors import Fault, SpicaError

Status = Literal["running", "succeeded", "failed", "interrupted", "killed"]
RUN_NAME = "run.json"
TASKS_NAME = "tasks.jsonl"
LOCK_NAME = "run.lock"

logger = logging.getLogger(__name__)


class TaskRecord(Row):
    """How one task of a run ended: a line of tasks.jsonl."""

    task: str
    key: str = ""
    digest: str = ""
    cached: bool = False
    """True: the artifact was made before this run began."""
    wall_s: float = 0.0
    """Seconds the stage took; 0 when cached."""
    uri: str = ""
    """Where the artifact's files lie, in the records that a step of a cluster prints."""
    error: str = ""
    """Where and what, in one line."""
    faults: tuple[Fault, ...] = ()
    """The whole of it."""
    exit_code: int = 0


class Run(Row):
    """The record of one run, runs/ID/run.json."""

    id: str
    """Sortable: 20261121-074500-miniature-3f2a."""
    recipe: str
    profile: str
    store: str = ""
    """Where its artifacts lie."""
    status: Status
    started: str
    """UTC, ISO 8601."""
    wall_s: float = 0.0
    pid: int
    host: str
    error: str = ""
    tasks: tuple[TaskRecord, ...] = ()
    """In the order in which they ended."""


@contextmanager
def start_run(state: Path, recipe: str, profile: str, needed_bytes: int, store: str = "") -> Iterator[Run]:
    """Hold the state folder and keep the record of one run while the body carries it out.

    Args:
        state: folder of locks, runs and scratch.
        recipe: its name.
        profile: its name.
        needed_bytes: what the run may write below `state`.
        store: URI of its artifacts.

    Raises:
        LockedError: another run goes on in this state folder; says which, by whom, since when.
        PrerequisiteError: too little room on the disk.
    """
    now = datetime.now(UTC)
    run = Run(
        id=f"{now:%Y%m%d-%H%M%S}-{recipe}-{secrets.token_hex(2)}",
        recipe=recipe,
        profile=profile,
        store=store,
        status="running",
        started=now.isoformat(timespec="milliseconds"),
        pid=os.getpid(),
        host=socket.gethostname(),
    )
    with held(state / "locks" / LOCK_NAME, f"run {run.id}"):
        require_free(state, needed_bytes)
        _write(state, run)
        start = time.monotonic()
        status: Status = "failed"
        error = ""
        try:
            yield run
            status = "succeeded"
        except KeyboardInterrupt:
            status = "interrupted"
            raise
        except BaseException as fault:
            error = _summary(fault)
            raise
        finally:
            end = {"status": status, "wall_s": round(time.monotonic() - start, 3), "error": error}
            _write(state, _with_tasks(state, run.model_copy(update=end)))


def record_task(state: Path, run_id: str, manifest: Manifest) -> None:
    """Note that a task of a run has its artifact; nothing happens outside of a run (`run_id` empty)."""
    if not run_id:
        return
    run = _read(state / "runs" / run_id / RUN_NAME)
    cached = run is not None and manifest.execution.started < run.started
    record = TaskRecord(
        task=manifest.task,
        key=manifest.key,
        digest=manifest.digest,
        cached=cached,
        wall_s=0.0 if cached else manifest.execution.wall_s,
    )
    _append(state, run_id, record)


def record_failure(state: Path, run_id: str, task: str, error: SpicaError) -> TaskRecord:
    """Note that a task of a run failed; nothing is written outside of a run (`run_id` empty)."""
    faults, code = tuple(error.faults), error.exit_code
    record = TaskRecord(task=task, error=_summary(error), faults=faults, exit_code=code)
    if run_id:
        _append(state, run_id, record)
    return record


def task_records(state: Path, run_id: str) -> dict[str, TaskRecord]:
    """Return the tasks of a run that ended so far, by name."""
    run = _read(state / "runs" / run_id / RUN_NAME)
    return {} if run is None else {record.task: record for record in _with_tasks(state, run).tasks}


def list_runs(state: Path) -> list[Run]:
    """Return all runs, newest first; one whose process is gone without a word counts as killed."""
    files = (state / "runs").glob(f"*/{RUN_NAME}")
    runs = [_with_tasks(state, run) for file in files if (run := _read(file))]
    runs.sort(key=lambda run: (run.started, run.id), reverse=True)
    return [run.model_copy(update={"status": "killed"}) if _is_gone(state, run) else run for run in runs]


def _is_gone(state: Path, run: Run) -> bool:
    if run.status != "running" or run.host != socket.gethostname():
        return False
    holder = read_holder(state / "locks" / LOCK_NAME)
    if holder is None or holder.what != f"run {run.id}":
        return True  # A later process may have been given the same pid; the lock names its run.
    return not is_alive(run.pid)


def _with_tasks(state: Path, run: Run) -> Run:
    path = state / "runs" / run.id / TASKS_NAME
    bad: list[Quarantined] = []
    tasks = tuple(parse_lines(path, TaskRecord, bad)) if path.exists() else ()
    for line in bad:
        logger.warning("run %s: %s", run.id, line)
    return run.model_copy(update={"tasks": tasks})


def _append(state: Path, run_id: str, record: TaskRecord) -> None:
    with Journal(state / "runs" / run_id / TASKS_NAME) as journal:
        journal.append(record)


def _write(state: Path, run: Run) -> None:
    with atomic_file(state / "runs" / run.id / RUN_NAME) as file:
        file.write(run.model_dump_json(indent=1).encode())


def _read(path: Path) -> Run | None:
    try:
        return Run.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        reason = error.errors(include_url=False, include_input=False)[0]["msg"]
        logger.warning("%s is no record of a run: %s", path, reason)
        return None


def _summary(error: BaseException) -> str:
    if isinstance(error, SpicaError) and error.faults:
        return f"{error.faults[0].where}: {error.faults[0].found}"
    return f"{type(error).__name__}: {error}".splitlines()[0]

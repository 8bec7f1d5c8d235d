"""What became of a submitted run: its tasks, why one failed, its logs.

The server's own `error` stays empty, and a run may end green with a failed task. So tasks are read one by
one: how far they are, and what the engine remarks (an image that cannot be pulled, say), from the workflow
that the server keeps; how Spica ended in them from the record that each step prints into its log.
"""

import contextlib
import json
import re
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import quote

import kfp_server_api as kfp

from spica.artifacts.manifest import Artifact
from spica.artifacts.runs import TaskRecord
from spica.artifacts.store import Store
from spica.errors import Fault, PrerequisiteError
from spica.recipe.load import parse_recipe, under_profile
from spica.recipe.plan import plan
from spica_pipelines.server import TIMEOUT_S, Server
from spica_pipelines.step_log import last_lines, record_of
from spica_pipelines.submit import equals
from spica_pipelines.workflow import Progress, Workflow, progress_of_rows

ENDED = ("SUCCEEDED", "FAILED", "SKIPPED", "CANCELED")
ON_ITS_WAY = ("PodInitializing", "ContainerCreating")
"""What the engine says of every pod for a while."""
UNREPORTED_S = 120.0
"""An engine at work tells the server of a run within seconds."""
SERVER_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class RemoteTask(NamedTuple):
    """One task of a run on a server."""

    name: str
    """As in `spica show`, such as sft-d_t."""
    state: str
    """waiting, pending, running, succeeded, failed, skipped or canceled."""
    wall_s: float | None
    """From its first pod to its last; None before."""
    pods: tuple[str, ...]
    """Names under which the server may find its log; the latest first."""
    record: TaskRecord | None
    """How Spica ended in it."""
    error: str
    """Why it failed or does not start, else empty."""


class RemoteRun(NamedTuple):
    """A run on a server."""

    run: str
    """Spica's id."""
    id: str
    """The server's."""
    state: str
    """As the server says it, in small letters; `unknown` before the engine reported; `canceled` also where
    the server calls a run that was told to end failed."""
    namespace: str
    """Where its pods run; empty where the server does not say."""
    is_reported: bool
    """Whether the engine has told the server anything of it."""
    recipe: str
    profile: str
    store: str
    wall_s: float
    tasks: tuple[RemoteTask, ...]

    @property
    def is_lost(self) -> bool:
        """The engine has told the server nothing of it for so long that it knows of none, or is away."""
        return not (self.is_reported or self.has_ended) and self.wall_s > UNREPORTED_S

    @property
    def has_ended(self) -> bool:
        """Nothing of it runs any more."""
        return self.state.upper() in ENDED

    @property
    def failed(self) -> list[RemoteTask]:
        """Tasks that failed, whatever the server says of the run."""
        return [task for task in self.tasks if task.state == "failed"]

    @property
    def verdict(self) -> str:
        """The run's state; a green run with a failed task has failed."""
        return "failed" if self.failed and self.has_ended else self.state


def read_run(server: Server, run: str, namespace: str = "") -> RemoteRun:
    """Ask for a run and all of its tasks.

    Args:
        server: where it runs.
        run: Spica's id of it, or the server's.
        namespace: of the run's team, where the server has several.

    Raises:
        PrerequisiteError: no such run, or the server does not answer.
    """
    return _remote(server, find_run(server, run, namespace))


def task_log(server: Server, run: RemoteRun, task: RemoteTask) -> str:
    """All that the pod of a task printed, also after the pod is gone if the cluster archives logs.

    Raises:
        PrerequisiteError: the task has no pod yet, or the server shows no log of it.
    """
    for pod in task.pods:
        text = _log(server, run.id, pod)
        if text is not None:
            return text
    where = f"{run.run} {task.name}"
    if not task.pods:
        advice = "wait until it runs" if not run.has_ended else f"`spica status {run.run}`"
        raise PrerequisiteError(Fault(where, f"{task.state}: no pod of it", "a task that ran", advice))
    found = f"{task.state}: the server has no log of {task.pods[0]}"
    allowed = "a log that the server may read, or has archived (KFP 2.0 shows none of a pod that runs)"
    advice = f"as long as the pod is there: {log_command(run, task)}"
    raise PrerequisiteError(Fault(where, found, allowed, advice))


def log_command(run: RemoteRun, task: RemoteTask) -> str:
    """What shows the log of a task's latest pod without the server."""
    return f"kubectl logs -n {run.namespace or 'NAMESPACE'} {task.pods[0]} -c main"


def task_of(run: RemoteRun, name: str) -> RemoteTask:
    """A task by its name.

    Raises:
        PrerequisiteError: the run has none of this name.
    """
    for task in run.tasks:
        if task.name == name:
            return task
    names = ", ".join(task.name for task in run.tasks)
    raise PrerequisiteError(Fault(run.run, f"no task `{name}`", names, "choose one of these"))


def chosen_tasks(run: RemoteRun, name: str | None) -> list[RemoteTask]:
    """The task of a name; without one those that failed, else those that run, else the last that ended.

    Raises:
        PrerequisiteError: the run has none of this name, or nothing has run.
    """
    if name:
        return [task_of(run, name)]
    for state in ("failed", "running"):
        if found := [task for task in run.tasks if task.state == state]:
            return found
    if ended := [task for task in run.tasks if task.state == "succeeded"]:
        return ended[-1:]
    raise PrerequisiteError(Fault(run.run, "no task has run", "a task that ran", f"`spica status {run.run}`"))


def artifacts(run: RemoteRun, *names: str) -> dict[str, Artifact]:
    """What some tasks of a run made, from the run's store.

    Raises:
        PrerequisiteError: a task did not get that far, or the store cannot be reached.
    """
    store, found = Store.parse(run.store), {}
    for name in names:
        task = task_of(run, name)
        manifest = store.find(name, task.record.key) if task.record and task.record.key else None
        if manifest is None:
            advice = f"`spica status {run.run}` says how far it is"
            raise PrerequisiteError(Fault(f"{run.run} {name}", task.state, "a task that succeeded", advice))
        found[name] = store.open(manifest)
    return found


def find_run(server: Server, run: str, namespace: str) -> Any:
    """What the server itself keeps of a run.

    Raises:
        PrerequisiteError: no such run, or the server does not answer.
    """
    multi_user = server.health.multi_user
    with server.faults(f"run {run}"):
        if SERVER_ID.fullmatch(run):
            return server.runs.run_service_get_run(run, _request_timeout=TIMEOUT_S)
        listed = server.runs.run_service_list_runs(
            namespace=namespace if multi_user else "",
            page_size=1,
            filter=equals("display_name", run),
            _request_timeout=TIMEOUT_S,
        )
        if listed.runs:
            return server.runs.run_service_get_run(listed.runs[0].run_id, _request_timeout=TIMEOUT_S)
    where = f"{server.endpoint}" + (f", namespace {namespace}" if multi_user else "")
    raise PrerequisiteError(
        Fault(where, f"no run `{run}`", "an id that `spica submit` printed", "check the id and --namespace")
    )


def _remote(server: Server, found: Any) -> RemoteRun:
    given = (found.runtime_config and found.runtime_config.parameters) or {}
    if not {"recipe", "profile", "run"} <= set(given):
        allowed = "a run that `spica submit` started"
        raise PrerequisiteError(
            Fault(found.display_name, "a run of another pipeline", allowed, "check the id")
        )
    resolved = under_profile(
        parse_recipe(given["recipe"], f"the recipe of {found.display_name}"), given["profile"], "the run"
    )
    rows = (found.run_details and found.run_details.task_details) or ()
    workflow = workflow_of(server, found.run_id)
    progress = {
        name: workflow.progress(key) if workflow else progress_of_rows(rows, key)
        for key, name in _names(server, found).items()
    }
    planned = list(plan(resolved))
    order = sorted(
        progress,
        key=lambda name: (progress[name].started or _NEVER, planned.index(name) if name in planned else -1),
    )
    return RemoteRun(
        run=given["run"] or found.display_name,
        id=found.run_id,
        state=_state(found.state, workflow),
        namespace=workflow.namespace,
        is_reported=bool(workflow or rows),
        recipe=resolved.recipe.name,
        profile=resolved.profile,
        store=resolved.store,
        wall_s=_wall_s(found.created_at, found.finished_at),
        tasks=tuple(_task(server, found.run_id, name, progress[name]) for name in order),
    )


def _state(told: str | None, workflow: Workflow) -> str:
    """KFP calls a run that it was told to end FAILED."""
    return "canceled" if told == "FAILED" and workflow.was_told_to_end else (told or "unknown").lower()


def _names(server: Server, found: Any) -> dict[str, str]:
    """Task of the graph -> task of Spica (sources-2 -> visual): the constant that it is called with."""
    version = found.pipeline_version_reference
    with server.faults("the run's pipeline"):
        spec = server.pipelines.pipeline_service_get_pipeline_version(
            version.pipeline_id, version.pipeline_version_id, _request_timeout=TIMEOUT_S
        ).pipeline_spec
    tasks = spec.get("pipeline_spec", spec)["root"]["dag"]["tasks"]
    called = {
        key: task.get("inputs", {}).get("parameters", {}).get("task", {}) for key, task in tasks.items()
    }
    return {key: value.get("runtimeValue", {}).get("constant", key) for key, value in called.items()}


def workflow_of(server: Server, run_id: str) -> Workflow:
    """What the engine says; empty where the server keeps it to itself."""
    with contextlib.suppress(kfp.ApiException, ValueError, KeyError, TypeError):
        detail = json.loads(server.text(f"/apis/v1beta1/runs/{quote(run_id)}"))
        return Workflow(json.loads(detail["pipeline_runtime"]["workflow_manifest"]))
    return Workflow({})


def _task(server: Server, run_id: str, name: str, progress: Progress) -> RemoteTask:
    record, log = None, None
    if progress.state in ("succeeded", "failed", "canceled"):
        log = next((text for pod in progress.pods if (text := _log(server, run_id, pod)) is not None), None)
        record = record_of(log or "", name)
    wall_s = _wall_s(progress.started, progress.ended) if progress.started else None
    return RemoteTask(name, progress.state, wall_s, progress.pods, record, _error(progress, record, log))


def _error(progress: Progress, record: TaskRecord | None, log: str | None) -> str:
    if progress.state not in ("failed", "canceled"):
        return progress.remark if progress.state == "pending" and progress.remark not in ON_ITS_WAY else ""
    if record and record.faults:
        return "\n".join(map(str, record.faults))
    if progress.state == "canceled":
        return "\n".join(last_lines(log or "")) or "it had printed nothing"
    told = filter(None, (progress.remark, *last_lines(log or "")))
    return "\n".join(told) or "neither the engine nor a log says why"


def _log(server: Server, run_id: str, pod: str) -> str | None:
    """None where the server has none; it says so in the body of a 200, or says nothing at all in it."""
    with contextlib.suppress(kfp.ApiException), server.faults(f"the log of {pod}"):
        text = server.text(f"/apis/v1alpha1/runs/{quote(run_id)}/nodes/{quote(pod)}/log")
        return None if not text or text.startswith('{"error_message"') else text
    return None


_NEVER = datetime.max.replace(tzinfo=UTC)


def _wall_s(started: datetime, ended: datetime | None) -> float:
    """Until now where it goes on; the server writes the year 1970 for "not yet"."""
    end = ended if ended and ended.year > 1970 else datetime.now(UTC)
    return (end - started).total_seconds()

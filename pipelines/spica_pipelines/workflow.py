"""How far each task of a run is: from the Argo workflow that the server keeps, else from its own rows.

The workflow says more (which image cannot be pulled, which pod was killed) and stays whole when it is large:
Argo packs the nodes of a workflow beyond 1 MB, and KFP then shows a run without rows. Both are untrusted:
what is missing or has another form counts as not told.
"""

import base64
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

POD_NAMES = "workflows.argoproj.io/pod-name-format"
WBITS_OF_GZIP = 31
MAX_NAME = 253
STOPPED = re.compile(r"exceeded its deadline|[Ss]hutdown with strategy|Stopped with strategy")
"""What Argo writes at pods that it ends because their workflow was told to end."""
STATES = {
    "Pending": "pending",
    "Running": "running",
    "Succeeded": "succeeded",
    "Failed": "failed",
    "Error": "failed",
    "Skipped": "skipped",
    "Omitted": "skipped",
}


class Progress(NamedTuple):
    """How far a task is."""

    state: str
    """waiting, pending, running, succeeded, failed, skipped or canceled."""
    started: datetime | None
    ended: datetime | None
    pods: tuple[str, ...]
    """Names under which its log may be kept; the latest pod first; a driver's only if that failed."""
    remark: str
    """What the engine says, such as `ImagePullBackOff: ...` or `OOMKilled (exit code 137)`."""


WAITING = Progress("waiting", None, None, (), "")


class Workflow:
    """Reads the Workflow object of a run."""

    def __init__(self, manifest: Mapping[str, Any]) -> None:
        """An empty `manifest` tells nothing."""
        metadata, status = manifest.get("metadata") or {}, manifest.get("status") or {}
        nodes = status.get("nodes") or {}
        if not nodes and status.get("compressedNodes"):
            nodes = json.loads(zlib.decompress(base64.b64decode(status["compressedNodes"]), WBITS_OF_GZIP))
        self._nodes = [node for node in nodes.values() if isinstance(node, dict)]
        self._name = str(metadata.get("name", ""))
        self._named_like_nodes = (metadata.get("annotations") or {}).get(POD_NAMES) == "v1"
        self.namespace = str(metadata.get("namespace", ""))
        """Where its pods run; empty where it is not told."""
        # KFP ends a run this way, and its own record of that (CANCELING) does not always stay.
        spec = manifest.get("spec") or {}
        self.was_told_to_end = spec.get("activeDeadlineSeconds") == 0 or bool(spec.get("shutdown"))
        """Somebody cancelled the run."""

    def __bool__(self) -> bool:
        return bool(self._nodes)

    def progress(self, task: str) -> Progress:
        """How far a task of the graph is: it has a driver's pod, then a node with the pod that computes."""
        driver, body = self._called(f"{task}-driver"), self._called(task)
        if driver is None and body is None:
            return WAITING
        inside = self._pods_inside(body) if body else []
        nodes = [node for node in (*inside, driver) if node]
        remark = next(filter(None, (str(node.get("message") or "") for node in nodes)), "")
        state = _state(driver, body, inside)
        # A log is the task's own: a driver prints the whole recipe. Nor is an earlier attempt's that of a
        # pod that waits or runs.
        logged = inside if state not in ("pending", "running") else inside[:1]
        if not inside and state == "failed":
            logged = [driver] if driver else []
        if state == "failed" and self.was_told_to_end and STOPPED.search(remark):
            state = "canceled"
        return Progress(
            state=state,
            started=min(filter(None, (_instant(node, "startedAt") for node in nodes)), default=None),
            ended=_instant(body or driver or {}, "finishedAt"),
            pods=tuple(dict.fromkeys(name for node in logged for name in self._names(node))),
            remark=remark,
        )

    def _called(self, name: str) -> dict[str, Any] | None:
        return next((node for node in self._nodes if node.get("displayName") == name), None)

    def _pods_inside(self, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Attempts at a task, the latest first; names of nodes are paths."""
        prefix = f"{body.get('name')}."
        pods = [
            node
            for node in self._nodes
            if node.get("type") == "Pod" and str(node.get("name")).startswith(prefix)
        ]
        return sorted(pods, key=lambda node: str(node.get("startedAt")), reverse=True)

    def _names(self, node: Mapping[str, Any]) -> Iterator[str]:
        """A pod is called like its node or, since Argo 3.4, WORKFLOW-TEMPLATE-HASH."""
        name, template = str(node.get("id", "")), node.get("templateName")
        if template and not self._named_like_nodes:
            number = name.rpartition("-")[2]
            yield f"{self._name}-{template}"[: MAX_NAME - len(number) - 1] + f"-{number}"
        yield name


def _state(driver: Any, body: Any, inside: list[dict[str, Any]]) -> str:
    first = STATES.get(str(driver.get("phase")), "pending") if driver else "succeeded"
    if first in ("failed", "skipped"):
        return first
    state = STATES.get(str(body.get("phase")), "pending") if body else "pending"
    if state == "running":
        # The engine calls a task running as soon as it has asked for its pod.
        return "running" if any(node.get("phase") == "Running" for node in inside) else "pending"
    return state


def progress_of_rows(rows: Iterable[Any], task: str) -> Progress:
    """How far a task is by the server's rows (`task_details`), which carry no remarks."""
    named = {row.display_name: row for row in rows}
    driver, body = named.get(f"{task}-driver"), named.get(task)
    present = [row for row in (driver, body) if row]
    if not present:
        return WAITING
    failed = driver is not None and driver.state == "FAILED"
    state = "failed" if failed else str((body and body.state) or "PENDING").lower()
    return Progress(
        state=state,
        started=_real(present[0].start_time),
        ended=_real(present[-1].end_time),
        pods=tuple(child.pod_name for child in (body and body.child_tasks) or () if child.pod_name),
        remark="",
    )


def _instant(node: Mapping[str, Any], field: str) -> datetime | None:
    try:
        return _real(datetime.fromisoformat(str(node.get(field))))
    except ValueError:
        return None


def _real(instant: datetime | None) -> datetime | None:
    """The server writes the year 1970 for "not yet"."""
    return instant.astimezone(UTC) if instant and instant.year > 1970 else None

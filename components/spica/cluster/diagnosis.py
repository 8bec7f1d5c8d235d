"""Why a job does not run, in one line: read off the objects that Kubernetes, Kueue and the operator keep."""

from collections.abc import Sequence
from typing import NamedTuple

from spica.cluster.api import Object

IMAGE_FAULTS = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")
REFUSALS = ("FailedCreatePod", "FailedCreate")
CONFIG_FAULTS = ("CreateContainerConfigError", "CreateContainerError")
TOO_LARGE = "request > maximum capacity"
"""What Kueue 0.12 says where the whole quota is too small; what is taken is "insufficient unused quota"."""
UNMENDED = ("doesn't exist", "namespace doesn't match", "didn't satisfy", "validation failed")
"""What it says of queue, namespace, LimitRange and requests when a job waits for none to leave."""
PATIENCE_S = {
    # Nobody else's leaving would let it start.
    "inadmissible": 0.0,
    "refused": 120.0,
    "image missing": 120.0,
    "misconfigured": 120.0,
    # An autoscaler may need that long for nodes of the pool.
    "unschedulable": 1800.0,
}
"""State -> how long a job may stay in it; then it gives its quota back."""


TELL_AGAIN_S = 60.0
"""How long what was told is not told again, though it still is so."""


class Told:
    """What was told about a job or server, and when."""

    def __init__(self) -> None:
        self._told: dict[str, float] = {}

    def is_news(self, text: str, now: float) -> bool:
        """Whether `text` is to be told now (monotonic, in seconds): images fail by two texts in turns."""
        if now - self._told.get(text, -TELL_AGAIN_S) < TELL_AGAIN_S:
            return False
        self._told[text] = now
        return True


class State(NamedTuple):
    """What a job does now."""

    name: str
    """queued, preempted, inadmissible, starting, refused, unschedulable, image missing, misconfigured,
    running, restarting, evicted, deleted, succeeded or failed."""
    detail: str

    @property
    def patience_s(self) -> float | None:
        """How long somebody has to mend what keeps it from starting; None where it needs no mending."""
        return PATIENCE_S.get(self.name)

    def __str__(self) -> str:
        return f"{self.name}: {self.detail}" if self.detail else self.name


def state_of(
    job: Object, pods: Sequence[Object], workload: Object | None, events: Sequence[Object] = ()
) -> State:
    """The state of a PyTorchJob.

    Args:
        job: the PyTorchJob.
        pods: its pods.
        workload: Kueue's Workload of the job, if Kueue manages it.
        events: what the cluster said about the job, oldest first.
    """
    conditions = {item["type"]: item for item in (job.get("status") or {}).get("conditions", ())}
    for ended in ("Succeeded", "Failed"):
        if _is_true(conditions.get(ended)):
            return State(ended.lower(), "" if ended == "Succeeded" else _why_failed(conditions[ended], pods))
    if "deletionTimestamp" in job["metadata"]:
        return State("deleted", "its pods end")
    started = (job.get("status") or {}).get("startTime") or job["metadata"].get("creationTimestamp", "")
    events = [
        event for event in events if (event.get("lastTimestamp") or event.get("eventTime") or "") >= started
    ]
    if job["spec"].get("runPolicy", {}).get("suspend"):
        return _queued(workload, events)
    for pod in pods:
        if state := _pod_fault(pod):
            return state
    running = [pod for pod in pods if (pod.get("status") or {}).get("phase") == "Running"]
    wanted = sum(spec["replicas"] for spec in job["spec"]["pytorchReplicaSpecs"].values())
    if len(running) == wanted:
        return State("running", f"{wanted} pods")
    if len(pods) < wanted and (said := _warning(events, REFUSALS)):
        return State("refused", said)
    if _is_true(conditions.get("Restarting")):
        return State("restarting", f"{len(running)} of {wanted} pods run")
    return State("starting", f"{len(running)} of {wanted} pods run")


def _warning(events: Sequence[Object], reasons: Sequence[str] = ()) -> str:
    """The last warning, of these reasons if there are any."""
    said = [
        str(event.get("message", ""))
        for event in events
        if event.get("type") == "Warning" and (not reasons or event.get("reason") in reasons)
    ]
    return said[-1] if said else ""


def _queued(workload: Object | None, events: Sequence[Object]) -> State:
    conditions = {item["type"]: item for item in ((workload or {}).get("status") or {}).get("conditions", ())}
    evicted, reserved = conditions.get("Evicted"), conditions.get("QuotaReserved")
    if workload is None and (said := _warning(events)):
        return State("refused", f"Kueue made no workload of it: {said}")
    waiting = str(reserved["message"]) if reserved and not _is_true(reserved) else "waits for Kueue"
    if TOO_LARGE in waiting:
        return State("inadmissible", f"its queue can never admit it: {waiting}")
    if any(words in waiting for words in UNMENDED):
        return State("refused", f"its queue does not admit it: {waiting}")
    if _is_true(evicted):
        assert evicted is not None
        return State("preempted", f"{evicted.get('message', '')}; {waiting}")
    return State("queued", waiting)


def _pod_fault(pod: Object) -> State | None:
    name, status = pod["metadata"]["name"], pod.get("status") or {}
    if status.get("reason") == "Evicted":
        return State("evicted", f"{name}: {status.get('message', '')}")
    for condition in status.get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable":
            return State("unschedulable", f"{name}: {condition.get('message', '')}")
        if condition["type"] == "DisruptionTarget" and _is_true(condition):
            return State("evicted", f"{name}: {condition.get('message', '')}")
    for container in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") in IMAGE_FAULTS:
            return State("image missing", f"{name}: {container['image']}: {waiting.get('message', '')}")
        if waiting.get("reason") in CONFIG_FAULTS:
            return State("misconfigured", f"{name}: {waiting.get('message', '')}")
    return None


def _why_failed(condition: Object, pods: Sequence[Object]) -> str:
    first = first_failure(pods)
    said = str(condition.get("message", ""))
    if condition.get("reason") == "PyTorchJobFailed" and first:
        return f"{said} (first: {first.pod}, exit code {first.code} {first.reason})"
    return said


class Failure(NamedTuple):
    """The container that ended first, and badly."""

    pod: str
    code: int
    reason: str
    message: str
    finished: str


def first_failure(pods: Sequence[Object]) -> Failure | None:
    """The earliest container with an exit code other than 0, of those that still exist."""
    failures = []
    for pod in pods:
        for container in (pod.get("status") or {}).get("containerStatuses", ()):
            for key in ("lastState", "state"):
                ended = (container.get(key) or {}).get("terminated")
                if ended and ended["exitCode"] != 0:
                    name, reason = pod["metadata"]["name"], ended.get("reason", "")
                    said, when = ended.get("message", ""), ended.get("finishedAt") or ""
                    failures.append(Failure(name, ended["exitCode"], reason, said, when))
    return min(failures, key=lambda failure: failure.finished, default=None)


def _is_true(condition: Object | None) -> bool:
    return condition is not None and condition.get("status") == "True"

"""What a server on the cluster is doing, or why it does not serve, in one line out of the objects' status."""

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from spica.cluster.api import Object
from spica.cluster.diagnosis import CONFIG_FAULTS, IMAGE_FAULTS, TOO_LARGE, UNMENDED

Stage = Literal["dead", "stuck", "queued", "starting", "ready"]
RANK: tuple[Stage, ...] = ("dead", "stuck", "queued", "starting", "ready")
"""The one that decides first."""
STORAGE_INITIALIZER = "storage-initializer"
IMAGE_GONE = ("ErrImageNeverPull", "InvalidImageName")
# Answers of a store that another try does not change, in the words of KServe's storage initializer.
_KEYS_REFUSED = re.compile(
    r"authentication failed|invalid aws credentials|access denied|accessdenied|forbidden|"
    r"signaturedoesnotmatch|invalidaccesskeyid",
    re.IGNORECASE,
)
_ABSENT = re.compile(r"nosuchbucket|not found|does not exist|no model found", re.IGNORECASE)


class ServerState(NamedTuple):
    """One pod, or all of a server's, as the one who waits sees it."""

    stage: Stage
    """queued: waits for quota. stuck: a fault that may pass. dead: waiting longer changes nothing."""
    text: str
    pod: str = ""
    """Where a container failed, or runs and does not answer."""
    container: str = ""
    """The one that failed."""
    exit_code: int = 0
    restarted: bool = False
    """Whether another try of the failed container has begun: its log is the previous one."""
    keys_refused: bool = False
    """Whether the store does not take the keys of the profile's Secret."""


def server_state(
    service: Object | None, pods: Sequence[Object], workloads: Sequence[Object], num_servers: int
) -> ServerState:
    """The state that decides: that of the pod furthest from being ready.

    Args:
        service: the InferenceService, None when it is gone.
        pods: its pods.
        workloads: Kueue's Workloads of the namespace; looked at for pods that wait for quota.
        num_servers: how many pods must be ready.
    """
    if service is None:
        return ServerState("dead", "its InferenceService was deleted")
    kept = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    # An evicted pod stays as a record beside the one that replaces it.
    live = [pod for pod in kept if (pod.get("status") or {}).get("phase") != "Failed"]
    states = [pod_state(pod, workloads) for pod in live or kept]
    if [state.stage for state in states].count("ready") >= num_servers:
        return ServerState("ready", "ready")
    if waiting := [state for state in states if state.stage != "ready"]:
        return min(waiting, key=lambda state: RANK.index(state.stage))
    # Quota, Pod Security or a secret that is missing keep pods from being made at all.
    unready = _condition(service, "PredictorReady", "False") or {}
    if unready.get("reason") in ("FailedCreate", "ReconcileFailed"):
        return ServerState("stuck", f"no pod can be made: {_one_line(unready.get('message', ''))}")
    failure = (service.get("status") or {}).get("modelStatus", {}).get("lastFailureInfo", {})
    if failure.get("reason") in ("RuntimeNotRecognized", "NoSupportingRuntime", "RuntimeDisabled"):
        runtime = service["spec"]["predictor"]["model"]["runtime"]
        return ServerState("stuck", f"ServingRuntime {runtime}: {failure.get('message', failure['reason'])}")
    return ServerState("starting", "waiting for its pods to be made")


def pod_state(pod: Object, workloads: Sequence[Object] = ()) -> ServerState:
    """The state of one pod."""
    status, name = pod.get("status") or {}, pod["metadata"]["name"]
    if status.get("phase") == "Failed" and status.get("reason"):
        return ServerState("stuck", f"{status['reason'].lower()}: {status.get('message', '')}".rstrip(": "))
    if unscheduled := _condition(pod, "PodScheduled", "False"):
        if unscheduled.get("reason") == "SchedulingGated":
            return _queued(pod, workloads)
        return ServerState("starting", f"unschedulable: {unscheduled.get('message', 'no reason given')}")
    containers = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    for container in containers:
        if fault := _fault(container, pod):
            return fault._replace(pod=name)
    if _condition(pod, "Ready", "True"):
        return ServerState("ready", "ready")
    serving = any("running" in (row.get("state") or {}) for row in status.get("containerStatuses", ()))
    return ServerState("starting", _progress(containers), pod=name if serving else "")


def _queued(pod: Object, workloads: Sequence[Object]) -> ServerState:
    """What Kueue says about a pod that it holds back."""
    for workload in workloads:
        owners = workload["metadata"].get("ownerReferences", ())
        if any(owner["uid"] == pod["metadata"]["uid"] for owner in owners):
            waiting = _condition(workload, "QuotaReserved", "False") or {}
            said = waiting.get("message", "")
            if TOO_LARGE in said:
                return ServerState("dead", f"its queue can never admit it: {said}")
            if any(words in said for words in UNMENDED):
                return ServerState("stuck", f"its queue does not admit it: {said}")
            return ServerState("queued", f"queued: {said}".rstrip(": "))
    return ServerState("queued", "queued")


def _fault(container: Object, pod: Object) -> ServerState | None:
    name, image = container["name"], container.get("image", "")
    waiting = (container.get("state") or {}).get("waiting") or {}
    reason = waiting.get("reason", "")
    said = _one_line(waiting.get("message", reason))
    if reason in IMAGE_FAULTS:
        stage: Stage = "dead" if reason in IMAGE_GONE else "stuck"
        return ServerState(stage, f"image {image} cannot be pulled: {said}")
    if reason in CONFIG_FAULTS:
        return ServerState("stuck", f"container {name} cannot be made: {said}")
    now = (container.get("state") or {}).get("terminated")
    ended = now or (container.get("lastState") or {}).get("terminated")
    if container.get("ready") or not ended or ended["exitCode"] == 0:
        return None
    return _ended(container, ended, _memory_limit(pod, name))._replace(restarted=now is None)


def _ended(container: Object, ended: Object, limit: str) -> ServerState:
    name, code, said = container["name"], ended["exitCode"], ended.get("message", "").strip()
    if ended.get("reason") == "OOMKilled":
        return ServerState("dead", f"container {name} wanted more memory than its limit, {limit}")
    if name == STORAGE_INITIALIZER:
        last = said.splitlines()[-1].strip() if said else f"exit code {code}"
        keys_refused = _KEYS_REFUSED.search(said) is not None
        stage: Stage = "dead" if keys_refused or _ABSENT.search(said) else "stuck"
        return ServerState(stage, f"the weights cannot be fetched: {last}", keys_refused=keys_refused)
    text = f"container {name} ended with exit code {code}" + (f": {said}" if said else "")
    return ServerState("dead", text, container=name, exit_code=code)


def _memory_limit(pod: Object, container: str) -> str:
    spec = pod.get("spec") or {}
    containers = [*spec.get("initContainers", ()), *spec.get("containers", ())]
    found: Object = next((row for row in containers if row["name"] == container), {})
    return str(found.get("resources", {}).get("limits", {}).get("memory", "that of its node"))


def _progress(containers: Sequence[Object]) -> str:
    running = [container["name"] for container in containers if "running" in (container.get("state") or {})]
    if STORAGE_INITIALIZER in running:
        return "fetching the weights"
    if any(container["name"] in running and container.get("started") for container in containers):
        return "its container runs and does not answer any more"
    if running:
        return "its container runs, nothing answers yet (verifying and loading the weights)"
    return "its pod is being made (volumes, image)" if containers else "its pod is being placed"


def _condition(item: Object, kind: str, value: str) -> Object | None:
    conditions = (item.get("status") or {}).get("conditions", ())
    return next((row for row in conditions if (row["type"], row["status"]) == (kind, value)), None)


def _one_line(text: str) -> str:
    return " ".join(text.split())

"""What a pod is doing, or why it does not run, in one line out of its status."""

import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from spica.cluster.diagnosis import CONFIG_FAULTS, IMAGE_FAULTS

Object = Mapping[str, Any]
STORAGE_INITIALIZER = "storage-initializer"
IMAGE_GONE = ("ErrImageNeverPull", "InvalidImageName")
# Answers of a store that another try does not change, in the words of KServe's storage initializer.
_REFUSED = re.compile(
    r"authentication failed|invalid aws credentials|access denied|accessdenied|forbidden|nosuchbucket|"
    r"signaturedoesnotmatch|invalidaccesskeyid|not found|does not exist|no model found",
    re.IGNORECASE,
)


class PodState(NamedTuple):
    """One pod, as the one who waits for it sees it."""

    stage: Literal["ready", "starting", "queued", "stuck", "dead"]
    """queued: waits for quota. stuck: a fault that may pass. dead: waiting longer changes nothing."""
    text: str
    container: str = ""
    """The one that failed."""
    exit_code: int | None = None
    """Its exit code."""


RANK = ("dead", "stuck", "queued", "starting", "ready")
"""Stages, the one that decides first."""


def pod_state(pod: Object) -> PodState:
    """Read a pod's status (core/v1 PodStatus)."""
    status = pod.get("status", {})
    name = pod["metadata"]["name"]
    if status.get("phase") == "Failed" and status.get("reason"):
        return PodState("stuck", f"{status['reason'].lower()}: {status.get('message', '')}".rstrip(": "))
    if unscheduled := condition(pod, "PodScheduled", "False"):
        if unscheduled.get("reason") == "SchedulingGated":
            return PodState("queued", "waiting for quota")
        return PodState("starting", f"unschedulable: {unscheduled.get('message', 'no reason given')}")
    containers = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    for container in containers:
        if fault := _fault(container, pod):
            return fault
    if condition(pod, "Ready", "True"):
        return PodState("ready", f"pod {name} is ready")
    return PodState("starting", _progress(containers))


def condition(item: Object, kind: str, value: str) -> Object | None:
    """The object's condition of that type, if it has that value."""
    conditions = item.get("status", {}).get("conditions", ())
    return next((row for row in conditions if (row["type"], row["status"]) == (kind, value)), None)


def _fault(container: Object, pod: Object) -> PodState | None:
    name, image = container["name"], container.get("image", "")
    waiting = container.get("state", {}).get("waiting", {})
    reason = waiting.get("reason", "")
    detail = " ".join(waiting.get("message", reason).split())
    if reason in IMAGE_FAULTS:
        stage: Literal["dead", "stuck"] = "dead" if reason in IMAGE_GONE else "stuck"
        return PodState(stage, f"image {image} cannot be pulled: {detail}", name)
    if reason in CONFIG_FAULTS:
        return PodState("stuck", f"container {name} cannot be made: {detail}", name)
    ended = container.get("state", {}).get("terminated") or container.get("lastState", {}).get("terminated")
    if container.get("ready") or not ended or ended.get("exitCode") == 0:
        return None
    return _ended(name, ended, _memory_limit(pod, name))


def _ended(name: str, ended: Object, limit: str) -> PodState:
    code, message = ended["exitCode"], ended.get("message", "").strip()
    if ended.get("reason") == "OOMKilled":
        return PodState("dead", f"container {name} wanted more memory than its limit ({limit})", name, code)
    if name == STORAGE_INITIALIZER:
        last = " ".join(" ".join(message.splitlines()[-3:]).split()) or f"exit code {code}"
        stage: Literal["dead", "stuck"] = "dead" if _REFUSED.search(message) else "stuck"
        return PodState(stage, f"the weights cannot be fetched from the store: {last}", name, code)
    return PodState("dead", f"container {name} ended with exit code {code}", name, code)


def _memory_limit(pod: Object, container: str) -> str:
    spec = pod.get("spec", {})
    containers = [*spec.get("initContainers", ()), *spec.get("containers", ())]
    found = next((row for row in containers if row["name"] == container), {})
    return str(found.get("resources", {}).get("limits", {}).get("memory", "none"))


def _progress(containers: list[Object]) -> str:
    running = [container["name"] for container in containers if "running" in container.get("state", {})]
    if STORAGE_INITIALIZER in running:
        return "fetching the weights"
    if running:
        return "loading"
    return "being made (volumes, image)" if containers else "being scheduled"

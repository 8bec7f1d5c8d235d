"""Pods as the API server gives them, cut to what is looked at."""

from typing import Any

Object = dict[str, Any]


def pod(
    *statuses: Object,
    init: Object | None = None,
    ready: bool = False,
    phase: str = "Running",
    scheduled: Object | None = None,
    **status: str,
) -> Object:
    """A pod with the given container statuses; `scheduled` replaces its condition PodScheduled."""
    conditions = [
        scheduled or {"type": "PodScheduled", "status": "True"},
        {"type": "Ready", "status": "True" if ready else "False"},
    ]
    limits = {"limits": {"cpu": "1", "memory": "4Gi"}}
    found: Object = {"phase": phase, "conditions": conditions, "containerStatuses": list(statuses), **status}
    if init:
        found["initContainerStatuses"] = [init]
    return {
        "metadata": {"name": "p-1", "uid": "uid-1"},
        "spec": {"containers": [{"name": "kserve-container", "resources": limits}]},
        "status": found,
    }


def container(
    *, waiting: Object | None = None, ended: Object | None = None, last: Object | None = None,
    name: str = "kserve-container", ready: bool = False,
) -> Object:  # fmt: skip
    """A container status; running unless told otherwise."""
    state = {"waiting": waiting} if waiting else {"terminated": ended} if ended else {"running": {}}
    past = {"terminated": last} if last else {}
    return {"name": name, "image": "serve:1", "ready": ready, "state": state, "lastState": past}


def service(**status: Any) -> Object:
    """An InferenceService."""
    model = {"runtime": "spica-vllm"}
    return {"metadata": {"name": "m"}, "spec": {"predictor": {"model": model}}, "status": status}


READY = pod(container(ready=True), ready=True)
GATED = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}
UNSCHEDULABLE = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/9 nodes are available: 9 Insufficient nvidia.com/gpu.",
}

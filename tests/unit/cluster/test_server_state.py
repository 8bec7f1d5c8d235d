from typing import Any

import pytest

from spica.cluster.server_state import pod_state, server_state

from .pods import GATED, READY, UNSCHEDULABLE, container, pod, service

Object = dict[str, Any]
CRASH = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}


def fetching(message: str = "", **how: Any) -> Object:
    ended = {"exitCode": 1, "reason": "Error", "message": message}
    return pod(
        container(waiting={"reason": "PodInitializing"}),
        init=container(name="storage-initializer", **(how or {"ended": ended})),
    )


@pytest.mark.parametrize(
    ("item", "stage", "text"),
    [
        (READY, "ready", "ready"),
        (
            pod(container()),
            "starting",
            "its container runs, nothing answers yet (verifying and loading the weights)",
        ),
        (
            pod({**container(), "started": True}),
            "starting",
            "its container runs and does not answer any more",
        ),
        (
            pod(container(waiting={"reason": "ContainerCreating"})),
            "starting",
            "its pod is being made (volumes, image)",
        ),
        (pod(), "starting", "its pod is being placed"),
        (fetching(waiting=None), "starting", "fetching the weights"),
        (
            pod(scheduled=UNSCHEDULABLE),
            "starting",
            "unschedulable: 0/9 nodes are available: 9 Insufficient nvidia.com/gpu.",
        ),
        (
            pod(container(waiting={"reason": "ImagePullBackOff", "message": "Back-off pulling\nimage"})),
            "stuck",
            "image serve:1 cannot be pulled: Back-off pulling image",
        ),
        (
            pod(container(waiting={"reason": "ErrImageNeverPull"})),
            "dead",
            "image serve:1 cannot be pulled: ErrImageNeverPull",
        ),
        (
            pod(container(waiting={"reason": "CreateContainerConfigError", "message": 'no secret "s3"'})),
            "stuck",
            'container kserve-container cannot be made: no secret "s3"',
        ),
        (
            pod(container(ended={"exitCode": 137, "reason": "OOMKilled"})),
            "dead",
            "container kserve-container wanted more memory than its limit, 4Gi",
        ),
        (
            pod(container(**CRASH, last={"exitCode": 1, "reason": "Error", "message": "no engine\n"})),
            "dead",
            "container kserve-container ended with exit code 1: no engine",
        ),
        (
            pod(phase="Failed", reason="Evicted", message="The node was low on memory"),
            "stuck",
            "evicted: The node was low on memory",
        ),
    ],
)
def test_a_pods_status_in_one_line(item: Object, stage: str, text: str) -> None:
    state = pod_state(item)
    assert (state.stage, state.text) == (stage, text)


@pytest.mark.parametrize(
    ("message", "keys_refused"),
    [
        ("RuntimeError: Invalid AWS credentials. Verify AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.", True),
        ("RuntimeError: S3 error [403]: Forbidden", True),
        ("RuntimeError: S3 bucket 'spica' does not exist.", False),
        ("RuntimeError: Failed to fetch model. No model found in a/b.", False),
    ],
)
def test_a_store_that_refuses_is_not_waited_for(message: str, keys_refused: bool) -> None:
    state = pod_state(fetching(f"Traceback (most recent call last):\n  File x\n{message}"))
    assert (state.stage, state.keys_refused) == ("dead", keys_refused)
    assert state.text.startswith("the weights cannot be fetched: ")
    assert state.text.endswith(message)


def test_a_container_that_runs_and_is_not_ready_is_named_by_its_pod() -> None:
    assert pod_state(pod(container())).pod == "p-1"
    assert pod_state(fetching(waiting=None)).pod == ""


def test_a_store_that_is_away_may_come_back() -> None:
    state = pod_state(fetching("RuntimeError: Failed to connect to S3 endpoint 'spica'."))
    assert state.stage == "stuck"


def test_a_fetch_that_is_tried_again_is_still_stuck() -> None:
    again = fetching(last={"exitCode": 1, "reason": "Error", "message": "Failed to connect"})
    assert pod_state(again).stage == "stuck"


def test_a_fetch_that_succeeded_at_last_is_no_fault() -> None:
    done = fetching(ended={"exitCode": 0}, last={"exitCode": 1, "message": "Failed to connect"})
    assert pod_state(done).stage == "starting"


def test_a_container_that_came_back_and_is_ready_is_no_fault() -> None:
    again = pod(container(ready=True, last={"exitCode": 1, "reason": "Error"}), ready=True)
    assert pod_state(again).stage == "ready"


def test_a_restarted_container_is_named_with_its_previous_log() -> None:
    state = pod_state(pod(container(last={"exitCode": 9, "reason": "Error"})))
    assert (state.pod, state.container, state.exit_code, state.restarted) == (
        "p-1",
        "kserve-container",
        9,
        True,
    )


def workload(reason: str, message: str, uid: str = "uid-1") -> Object:
    waiting = {"type": "QuotaReserved", "status": "False", "reason": reason, "message": message}
    return {"metadata": {"ownerReferences": [{"uid": uid}]}, "status": {"conditions": [waiting]}}


NO_FLAVOR = "couldn't assign flavors to pod set main:"


@pytest.mark.parametrize(
    ("reason", "message", "stage"),
    [
        ("Pending", f"{NO_FLAVOR} insufficient unused quota for cpu in flavor cpu, 1 more needed", "queued"),
        ("Pending", f"{NO_FLAVOR} insufficient quota for cpu, request > maximum capacity (1 > 0)", "dead"),
        ("Pending", f"{NO_FLAVOR} flavor h100-8x doesn't match node affinity", "queued"),
        ("Inadmissible", "LocalQueue serving doesn't exist", "stuck"),
        ("Inadmissible", "ClusterQueue spica is inactive", "queued"),
        ("Pending", "Workload namespace doesn't match ClusterQueue selector", "stuck"),
    ],
)
def test_what_the_queue_says_of_a_pod_that_it_holds_back(reason: str, message: str, stage: str) -> None:
    others = workload("Pending", "another pod's", uid="uid-2")
    state = pod_state(pod(scheduled=GATED, phase="Pending"), [others, workload(reason, message)])
    assert state.stage == stage
    assert message in state.text


def test_a_server_is_ready_when_all_of_its_pods_are() -> None:
    loading = pod(container())
    assert server_state(service(), [READY, loading], [], 2).text.startswith(
        "its container runs, nothing answers"
    )
    assert server_state(service(), [READY, READY], [], 2).stage == "ready"


def test_the_pod_that_is_furthest_from_ready_decides() -> None:
    broken = pod(container(ended={"exitCode": 1, "reason": "Error"}))
    assert server_state(service(), [READY, pod(container()), broken], [], 3).stage == "dead"


def test_an_evicted_pod_does_not_count_beside_the_one_that_replaces_it() -> None:
    evicted = pod(phase="Failed", reason="Evicted")
    assert server_state(service(), [evicted, pod(container())], [], 1).stage == "starting"
    assert server_state(service(), [evicted, READY], [], 1).stage == "ready"
    assert server_state(service(), [evicted], [], 1).text == "evicted"


def test_a_pod_that_ends_is_not_ready_any_more() -> None:
    ending = {**READY, "metadata": {**READY["metadata"], "deletionTimestamp": "now"}}
    assert server_state(service(), [ending], [], 1).text == "waiting for its pods to be made"


def test_pods_that_cannot_be_made_say_why() -> None:
    message = 'pods "m" is forbidden: exceeded quota: team, requested: cpu=1, limited: cpu=0'
    failed = {"type": "PredictorReady", "status": "False", "reason": "FailedCreate", "message": message}
    state = server_state(service(conditions=[failed]), [], [], 1)
    assert (state.stage, state.text) == ("stuck", f"no pod can be made: {message}")


def test_a_missing_runtime_is_named() -> None:
    failure = {"reason": "RuntimeNotRecognized", "message": "Waiting for runtime to become available"}
    state = server_state(service(modelStatus={"lastFailureInfo": failure}), [], [], 1)
    assert state.text == "ServingRuntime spica-vllm: Waiting for runtime to become available"


def test_a_deleted_service_is_dead() -> None:
    assert server_state(None, [READY], [], 1).stage == "dead"

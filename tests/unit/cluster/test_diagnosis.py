from typing import Any

import pytest

from spica.cluster.diagnosis import Told, first_failure, state_of

Object = dict[str, Any]


def job(*conditions: Object, suspend: bool = False) -> Object:
    replicas = {"Master": {"replicas": 1}, "Worker": {"replicas": 1}}
    spec = {"runPolicy": {"suspend": suspend}, "pytorchReplicaSpecs": replicas}
    return {"metadata": {"name": "sft"}, "spec": spec, "status": {"conditions": list(conditions)}}


def is_true(kind: str, **more: str) -> Object:
    return {"type": kind, "status": "True", **more}


def is_false(kind: str, **more: str) -> Object:
    return {"type": kind, "status": "False", **more}


def pod(name: str = "sft-master-0", phase: str = "Running", **status: Any) -> Object:
    return {"metadata": {"name": name}, "status": {"phase": phase, **status}}


def ended(code: int, at: str, reason: str = "Error", message: str = "") -> Object:
    return {"terminated": {"exitCode": code, "finishedAt": at, "reason": reason, "message": message}}


def workload(*conditions: Object) -> Object:
    return {"status": {"conditions": list(conditions)}}


WAITING = {"type": "QuotaReserved", "status": "False", "message": "64 more needed"}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (None, "queued: waits for Kueue"),
        (workload(), "queued: waits for Kueue"),
        (workload(WAITING), "queued: 64 more needed"),
        (workload(WAITING, is_true("Evicted", message="by sft-b")), "preempted: by sft-b; 64 more needed"),
        (workload(WAITING, is_false("Evicted", message="by sft-b")), "queued: 64 more needed"),
    ],
)
def test_a_suspended_job_says_what_it_waits_for(found: Object | None, said: str) -> None:
    assert str(state_of(job(suspend=True), (), found)) == said


@pytest.mark.parametrize(
    ("pods", "said"),
    [
        ([], "starting: 0 of 2 pods run"),
        ([pod()], "starting: 1 of 2 pods run"),
        ([pod(), pod("sft-worker-0")], "running: 2 pods"),
        (
            [pod(phase="Failed", reason="Evicted", message="low on memory")],
            "evicted: sft-master-0: low on memory",
        ),
        (
            [pod(conditions=[is_true("DisruptionTarget", message="Eviction API")])],
            "evicted: sft-master-0: Eviction API",
        ),
        (
            [
                pod(
                    phase="Pending",
                    conditions=[is_false("PodScheduled", reason="Unschedulable", message="0/9 nodes")],
                )
            ],
            "unschedulable: sft-master-0: 0/9 nodes",
        ),
        (
            [
                pod(
                    phase="Pending",
                    containerStatuses=[
                        {
                            "image": "train:9",
                            "state": {"waiting": {"reason": "ErrImageNeverPull", "message": "not there"}},
                        }
                    ],
                )
            ],
            "image missing: sft-master-0: train:9: not there",
        ),
        (
            [
                pod(
                    phase="Pending",
                    containerStatuses=[
                        {
                            "image": "train:1",
                            "state": {
                                "waiting": {
                                    "reason": "CreateContainerConfigError",
                                    "message": 'secret "spica-s3" not found',
                                }
                            },
                        }
                    ],
                )
            ],
            'misconfigured: sft-master-0: secret "spica-s3" not found',
        ),
        ([{"metadata": {"name": "new"}}], "starting: 0 of 2 pods run"),
    ],
)
def test_an_admitted_job_says_why_it_does_not_run(pods: list[Object], said: str) -> None:
    assert str(state_of(job(), pods, None)) == said


def test_a_job_whose_pods_are_made_anew_restarts() -> None:
    assert state_of(job(is_true("Restarting")), [pod()], None).name == "restarting"


def test_a_job_without_a_status_starts() -> None:
    bare = job()
    del bare["status"]
    assert state_of(bare, (), None).name == "starting"


def test_a_succeeded_job_is_told_whatever_its_pods_say() -> None:
    assert (
        str(state_of(job(is_true("Succeeded")), [pod(phase="Failed", reason="Evicted")], None)) == "succeeded"
    )


def test_a_failed_job_names_the_pod_that_failed_first() -> None:
    failed = is_true("Failed", reason="PyTorchJobFailed", message="2 failed")
    pods = [
        pod("sft-master-0", containerStatuses=[{"state": ended(1, "2026-11-21T08:00:09Z")}]),
        pod("sft-worker-0", containerStatuses=[{"state": ended(137, "2026-11-21T08:00:07Z", "OOMKilled")}]),
    ]
    said = "failed: 2 failed (first: sft-worker-0, exit code 137 OOMKilled)"
    assert str(state_of(job(failed), pods, None)) == said


def test_a_job_that_ran_out_of_time_says_so() -> None:
    failed = is_true("Failed", reason="DeadlineExceeded", message="active longer than specified deadline")
    assert state_of(job(failed), (), None).detail == "active longer than specified deadline"


def test_an_earlier_life_of_a_container_counts() -> None:
    status = {"lastState": ended(9, "2026-11-21T08:00:00Z"), "state": ended(1, "2026-11-21T08:00:05Z")}
    failure = first_failure([pod(containerStatuses=[status])])
    assert failure is not None and failure.code == 9


def test_containers_that_ended_well_are_no_failure() -> None:
    assert first_failure([pod(containerStatuses=[{"state": ended(0, "2026-11-21T08:00:00Z")}])]) is None


def event(reason: str, message: str, at: str = "2026-11-21T08:00:10Z") -> dict[str, Any]:
    return {"type": "Warning", "reason": reason, "message": message, "lastTimestamp": at}


def waiting_job(*, suspended: bool) -> dict[str, Any]:
    return {
        "metadata": {"creationTimestamp": "2026-11-21T08:00:00Z"},
        "spec": {
            "runPolicy": {"suspend": suspended},
            "pytorchReplicaSpecs": {"Master": {"replicas": 1}, "Worker": {"replicas": 1}},
        },
    }


def test_pods_that_are_refused_are_told_with_the_clusters_words() -> None:
    said = [event("FailedCreatePod", "violates PodSecurity")]
    state = state_of(waiting_job(suspended=False), [], None, said)
    assert (str(state), state.patience_s) == ("refused: violates PodSecurity", 120.0)


def test_a_refusal_from_before_the_job_began_is_history() -> None:
    said = [event("FailedCreatePod", "violates PodSecurity", "2026-11-21T07:59:59Z")]
    assert state_of(waiting_job(suspended=False), [], None, said).name == "starting"


def test_a_job_that_kueue_makes_nothing_of_is_told_with_its_warning() -> None:
    said = [event("FailedToCreate", "priorityclass urgent not found")]
    state = state_of(waiting_job(suspended=True), [], None, said)
    assert str(state) == "refused: Kueue made no workload of it: priorityclass urgent not found"


@pytest.mark.parametrize(
    ("message", "name", "patience_s"),
    [
        (
            "couldn't assign flavors to pod set master: insufficient quota for cpu in flavor spica-cpu, "
            "request > maximum capacity (2 > 1)",
            "inadmissible",
            0.0,
        ),
        # Kueue names a flavor of another pool, and nothing else, while it waits for its own.
        (
            "couldn't assign flavors to pod set master: flavor spica-h100-8x doesn't match node affinity",
            "queued",
            None,
        ),
        ("couldn't assign flavors to pod set master: insufficient unused quota for cpu", "queued", None),
        ("LocalQueue training doesn't exist", "refused", 120.0),
        ("Workload namespace doesn't match ClusterQueue selector", "refused", 120.0),
        ("resources didn't satisfy LimitRange constraints: [...]", "refused", 120.0),
        # Somebody holds it on purpose.
        ("ClusterQueue spica is inactive", "queued", None),
    ],
)
def test_a_quota_that_never_fits_is_told_from_one_that_is_taken(
    message: str, name: str, patience_s: float | None
) -> None:
    workload = {"status": {"conditions": [{"type": "QuotaReserved", "status": "False", "message": message}]}}
    state = state_of(waiting_job(suspended=True), [], workload)
    assert (state.name, state.patience_s) == (name, patience_s)


def test_a_job_that_somebody_deletes_is_not_said_to_start() -> None:
    going = job()
    going["metadata"]["deletionTimestamp"] = "2026-11-22T02:03:00Z"
    assert str(state_of(going, [], None)) == "deleted: its pods end"


def test_what_stays_so_is_news_again_after_a_minute() -> None:
    told = Told()
    looks = [("a", 100.0), ("a", 110.0), ("b", 120.0), ("a", 130.0), ("a", 160.0), ("a", 170.0)]
    assert [told.is_news(text, now) for text, now in looks] == [True, False, True, False, True, False]

import socket
import threading
from typing import Any

import pytest
from kubernetes import client

from spica.cluster import api, owner
from spica.cluster.api import Cluster
from spica.cluster.owner import (
    KeptLease,
    Renewals,
    _renew,
    is_alive,
    lapse_of,
    let_go,
    owner_annotation,
    owner_of_this_process,
    owners_of,
    release,
    workflow_lives,
)
from spica.errors import Fault, PrerequisiteError, StageError

from ...fakes.cluster import FakeCluster
from .api_server import Answer, ApiServer


def cluster() -> Any:
    return FakeCluster()


@pytest.mark.parametrize(
    ("workflow", "lives"),
    [
        ({}, True),
        ({"spec": {}, "status": {"phase": "Running"}}, True),
        ({"spec": {"activeDeadlineSeconds": 600}, "status": {"phase": "Pending"}}, True),
        ({"spec": {"activeDeadlineSeconds": 0}, "status": {"phase": "Running"}}, False),
        ({"spec": {"shutdown": "Terminate"}, "status": {"phase": "Running"}}, False),
        ({"spec": {}, "status": {"phase": "Succeeded"}}, False),
        ({"spec": {}, "status": {"phase": "Failed"}}, False),
        ({"spec": {}, "status": {"phase": "Error"}}, False),
    ],
)
def test_a_workflow_lives_until_it_ends_or_is_cancelled(workflow: dict[str, Any], lives: bool) -> None:
    assert workflow_lives(workflow) is lives


@pytest.mark.parametrize(
    ("second", "at", "lives"),
    [
        ({"renewTime": "08:00:05", "leaseDurationSeconds": 20}, 130.0, True),
        ({"renewTime": "08:00:00", "leaseDurationSeconds": 20}, 119.0, True),
        ({"renewTime": "08:00:00", "leaseDurationSeconds": 20}, 120.0, False),
        ({"renewTime": "08:00:00", "leaseDurationSeconds": 5}, 105.0, False),
        ({"renewTime": "08:00:00"}, 130.0, True),
        ({}, 119.0, True),
    ],
)
def test_a_lease_lives_as_long_as_it_is_seen_to_be_renewed(
    second: dict[str, Any], at: float, lives: bool
) -> None:
    renewals = Renewals()
    for look in (100.0, (100.0 + at) / 2):
        assert renewals.lives("Lease/team/run", {"spec": {"renewTime": "08:00:00"}}, look)
    assert renewals.lives("Lease/team/run", {"spec": second}, at) is lives


def test_a_lease_is_not_judged_by_a_time_in_which_nobody_looked() -> None:
    renewals, lease = Renewals(), {"spec": {"renewTime": "08:00:00", "leaseDurationSeconds": 20}}
    assert renewals.lives("Lease/team/run", lease, 100.0)
    # The API server was away for five minutes, for the client as for the reaper.
    assert renewals.lives("Lease/team/run", lease, 400.0)
    assert renewals.lives("Lease/team/run", lease, 410.0)
    assert not renewals.lives("Lease/team/run", lease, 420.0)


def test_an_owner_that_is_gone_is_dead() -> None:
    assert not is_alive(cluster(), "Workflow/kubeflow/gone", Renewals())


def test_an_owner_is_looked_up_in_its_own_namespace() -> None:
    there = cluster()
    there.add("Workflow", "run", metadata={"namespace": "kubeflow"}, spec={})
    assert is_alive(there, "Workflow/kubeflow/run", Renewals())
    assert not is_alive(there, "Workflow/team/run", Renewals())


@pytest.mark.parametrize("owner", ["", "Lease", "Lease/team", "Secret/team/spica-s3", "Lease//x"])
def test_an_owner_that_says_nothing_is_neither_alive_nor_dead(owner: str) -> None:
    with pytest.raises(StageError, match=r"owner\.spica\.dev/"):
        is_alive(cluster(), owner, Renewals())


def test_the_step_of_a_pipeline_is_owned_by_its_workflow(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = cluster()
    inside.in_pod, inside.own_namespace = True, "kubeflow"
    labels = {"workflows.argoproj.io/workflow": "post-training-x"}
    inside.add("Pod", "step-1", metadata={"namespace": "kubeflow", "labels": labels})
    monkeypatch.setenv("KFP_POD_NAME", "step-1")
    assert owner_of_this_process(inside, "run-1") == "Workflow/kubeflow/post-training-x"


def test_another_process_is_owned_by_a_lease_that_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    there = cluster()
    owner = owner_of_this_process(there, "2026-11-21_miniature + laptop " + "x" * 80)
    kind, namespace, name = owner.split("/")
    assert (kind, namespace, len(name) <= 63) == ("Lease", "team", True)
    assert is_alive(there, owner, Renewals())


def test_two_tasks_of_a_run_have_leases_of_their_own() -> None:
    # The first to end must not give up what the other one still needs.
    there = cluster()
    first, second = (owner_of_this_process(there, "run-1") for _ in range(2))
    release(there, first)
    assert not is_alive(there, first, Renewals())
    assert is_alive(there, second, Renewals())


def test_a_lease_that_a_lost_answer_had_made_is_no_fault() -> None:
    class Racing(FakeCluster):
        def patch(self, kind: str, name: str, body: dict[str, Any]) -> None:
            return None

    there: Any = Racing()
    _renew(there, "spica-run")
    _renew(there, "spica-run")
    holder = there.get("Lease", "spica-run")["spec"]["holderIdentity"]
    assert holder.startswith(socket.gethostname())


def test_several_renewals_that_hang_fit_into_a_lease() -> None:
    assert 4 * (owner.RENEW_EVERY_S + sum(owner.RENEW_TIMEOUTS_S)) < owner.LEASE_S


LEASES = {
    "/apis": {
        "kind": "APIGroupList",
        "groups": [
            {
                "name": "coordination.k8s.io",
                "versions": [{"groupVersion": "coordination.k8s.io/v1", "version": "v1"}],
                "preferredVersion": {"groupVersion": "coordination.k8s.io/v1", "version": "v1"},
            }
        ],
    },
    "/apis/coordination.k8s.io/v1": {
        "kind": "APIResourceList",
        "groupVersion": "coordination.k8s.io/v1",
        "resources": [
            {"name": "leases", "singularName": "", "namespaced": True, "kind": "Lease", "verbs": ["patch"]}
        ],
    },
}


class Hanging(ApiServer):
    """Renewals hang until `goes_on`."""

    def __init__(self) -> None:
        self.goes_on = threading.Event()
        self.goes_on.set()
        super().__init__()

    def answer(self, method: str, path: str, body: Any) -> Answer:
        if found := LEASES.get(path.partition("?")[0]):
            return 200, found
        if method == "PATCH":
            self.goes_on.wait()
        return super().answer(method, path, body)


def test_a_renewal_that_hangs_is_given_up_told_once_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(owner, "RENEW_TIMEOUTS_S", (5.0, 0.05))
    server = Hanging()
    settings = client.Configuration(host=f"http://127.0.0.1:{server.port}")
    settings.retries = False
    connection = client.ApiClient(settings)
    try:
        there = Cluster(connection, "team", "team", in_pod=False)
        _renew(there, "spica-run")
        kept = KeptLease(there, "spica-run")
        server.goes_on.clear()
        for _ in range(3):
            kept.renew()
        told = [record.message for record in caplog.records if record.name == owner.__name__]
        assert len(told) == 1
        assert told[0].startswith("Lease spica-run is not renewed: no answer from the API server")
        # The patience of others with the API server is what it was.
        assert (there.patience_s, there.timeouts_s) == (api.GIVE_UP_S, api.TIMEOUTS_S)
        server.goes_on.set()
        monkeypatch.setattr(owner, "RENEW_TIMEOUTS_S", (5.0, 5.0))
        kept = KeptLease(there, "spica-run")
        kept.renew()
        assert kept.lapse() == ""
    finally:
        server.goes_on.set()
        connection.rest_client.pool_manager.clear()
        server.close()


class Refusing(FakeCluster):
    """Renewals fail while `cause` says why."""

    cause = ""

    def patch(self, kind: str, name: str, body: dict[str, Any]) -> Any:
        if self.cause:
            raise PrerequisiteError(Fault(kind, self.cause, "an answer", "look"))
        return super().patch(kind, name, body)


def test_a_lease_that_was_not_renewed_in_time_says_so_while_it_lasts_and_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there: Any = Refusing()
    clock = 100.0
    monkeypatch.setattr("time.monotonic", lambda: clock)
    _renew(there, "spica-run")
    kept = KeptLease(there, "spica-run")
    kept._cluster.cause = "timed out"
    clock = 159.0
    kept.renew()
    assert kept.lapse() == ""
    clock = 160.0
    assert kept.lapse() == "Lease spica-run is not renewed since 60 s: timed out"
    kept._cluster.cause = ""
    clock = 173.0
    kept.renew()
    assert kept.lapse().startswith("Lease spica-run is renewed again since ")
    assert kept.lapse().endswith(" UTC, after 73 s: timed out")


def test_a_lease_that_was_gone_is_made_anew_and_remembered(caplog: pytest.LogCaptureFixture) -> None:
    there = cluster()
    there_owner = owner_of_this_process(there, "run-1")
    assert lapse_of(there_owner) == ""
    there.objects.clear()
    owner._kept[there_owner].renew()
    assert "was gone and is made anew since" in lapse_of(there_owner)
    assert "is renewed again" in caplog.text
    assert lapse_of("Workflow/kubeflow/run") == ""


def test_a_lease_that_was_given_up_is_not_made_anew() -> None:
    there = cluster()
    there_owner = owner_of_this_process(there, "run-1")
    kept = owner._kept[there_owner]
    release(there, there_owner)
    assert kept.stopped.is_set()
    assert there.objects == {}


def job_of(cluster: Any, *owners: str) -> None:
    """A job `sft` that these own."""
    annotations = {name: value for owner in owners for name, value in owner_annotation(owner).items()}
    cluster.add("PyTorchJob", "sft", metadata={"annotations": {"spica.dev/spec-digest": "d", **annotations}})


def owners(cluster: Any) -> list[str]:
    return sorted(owners_of(cluster.get("PyTorchJob", "sft")))


A, B = "Lease/team/a", "Workflow/kubeflow/b"


def test_owners_stand_beside_each_other() -> None:
    there = cluster()
    job_of(there, A)
    there.patch("PyTorchJob", "sft", {"metadata": {"annotations": owner_annotation(B)}})
    assert owners(there) == [A, B]


def test_an_owner_that_is_not_the_last_leaves_the_object_to_the_others() -> None:
    there = cluster()
    job_of(there, A, B)
    assert let_go(there, "PyTorchJob", "sft", A) is None
    assert owners(there) == [B]


def test_the_last_owner_deletes_the_object() -> None:
    there = cluster()
    job_of(there, A)
    assert let_go(there, "PyTorchJob", "sft", A)
    assert there.objects == {}
    assert let_go(there, "PyTorchJob", "sft", A) is None


class Meanwhile(FakeCluster):
    """Somebody does something between the first look and what follows from it."""

    def __init__(self, happens: Any) -> None:
        super().__init__()
        self._happens = happens

    def get(self, kind: str, name: str, namespace: str | None = None) -> Any:
        found, happens, self._happens = super().get(kind, name, namespace), self._happens, lambda: None
        happens()
        return found


def test_of_two_owners_who_leave_at_once_one_deletes_the_object() -> None:
    there: Any = Meanwhile(lambda: let_go(there, "PyTorchJob", "sft", B))
    job_of(there, A, B)
    assert let_go(there, "PyTorchJob", "sft", A)
    assert there.objects == {}


def test_an_object_that_is_taken_up_while_its_last_owner_leaves_stays() -> None:
    there: Any = Meanwhile(
        lambda: there.patch("PyTorchJob", "sft", {"metadata": {"annotations": owner_annotation(B)}})
    )
    job_of(there, A)
    assert let_go(there, "PyTorchJob", "sft", A) is None
    assert owners(there) == [B]

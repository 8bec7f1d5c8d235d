from typing import Any

import pytest

from spica.cluster.owner import OURS, Renewals, owner_annotation, owner_of_this_process, release
from spica.cluster.reaper import KINDS, orphans, reap
from spica.errors import Fault, PrerequisiteError

from ...fakes.cluster import FakeCluster


def team(*, workflow: bool = True) -> Any:
    """A namespace with one running workflow, `alive`."""
    cluster = FakeCluster()
    if workflow:
        cluster.add("Workflow", "alive", metadata={"namespace": "kubeflow"}, spec={})
    return cluster


def add(cluster: Any, kind: str, name: str, *owners: str, **more: Any) -> None:
    metadata: dict[str, Any] = {"labels": OURS, "annotations": {}, **more.pop("metadata", {})}
    for owner in owners:
        metadata["annotations"] |= owner_annotation(f"Workflow/kubeflow/{owner}")
    cluster.add(kind, name, metadata=metadata, **more)


def names(cluster: Any) -> list[str]:
    return [name for kind, _, name in cluster.objects if kind != "Workflow"]


def test_what_belongs_to_nobody_is_ended_trainings_first() -> None:
    cluster = team()
    add(cluster, "InferenceService", "server", "gone")
    add(cluster, "PyTorchJob", "training", "gone")
    assert KINDS == ("PyTorchJob", "InferenceService", "Lease")
    assert [len(orphans(cluster, Renewals(), kind)) for kind in KINDS] == [1, 1, 0]
    assert reap(cluster, Renewals()) == 2
    assert names(cluster) == []


def test_what_a_living_run_owns_stays() -> None:
    cluster = team()
    add(cluster, "PyTorchJob", "training", "alive")
    assert reap(cluster, Renewals()) == 0
    assert names(cluster) == ["training"]


def test_what_one_of_two_runs_still_wants_stays() -> None:
    cluster = team()
    add(cluster, "PyTorchJob", "training", "gone", "alive")
    assert reap(cluster, Renewals()) == 0


def test_what_none_of_two_runs_wants_is_ended() -> None:
    cluster = team()
    add(cluster, "PyTorchJob", "training", "gone", "gone-too")
    assert reap(cluster, Renewals()) == 1


def test_the_lease_of_a_client_that_died_goes_with_what_it_owned(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster, renewals = team(), Renewals()
    lease = {"renewTime": "08:00:00", "leaseDurationSeconds": 20}
    cluster.add("Lease", "died", metadata={"labels": OURS}, spec=lease)
    cluster.add("Lease", "foreign", spec={"renewTime": "08:00:00"})
    owned = {"labels": OURS, "annotations": owner_annotation("Lease/team/died")}
    cluster.add("PyTorchJob", "training", metadata=owned)
    for clock in (100.0, 110.0):
        monkeypatch.setattr("time.monotonic", lambda clock=clock: clock)
        assert reap(cluster, renewals) == 0
    monkeypatch.setattr("time.monotonic", lambda: 120.0)
    assert reap(cluster, renewals) == 2
    assert names(cluster) == ["foreign"]


def test_a_client_that_is_late_keeps_its_training_and_one_that_leaves_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster, renewals = team(), Renewals()
    owner = owner_of_this_process(cluster, "run-1")
    cluster.add("PyTorchJob", "training", metadata={"labels": OURS, "annotations": owner_annotation(owner)})
    for clock in (100.0, 110.0, 120.0, 130.0, 140.0, 150.0):
        monkeypatch.setattr("time.monotonic", lambda clock=clock: clock)
        assert reap(cluster, renewals) == 0
    release(cluster, owner)
    assert reap(cluster, renewals) == 1
    assert names(cluster) == []


@pytest.mark.parametrize("ended", ["Succeeded", "Failed"])
def test_what_ended_by_itself_stays(ended: str) -> None:
    cluster = team()
    add(cluster, "PyTorchJob", "done", "gone", status={"conditions": [{"type": ended, "status": "True"}]})
    assert reap(cluster, Renewals()) == 0


def test_what_is_being_deleted_is_not_deleted_again() -> None:
    cluster = team()
    add(cluster, "PyTorchJob", "going", "gone", metadata={"deletionTimestamp": "2026-11-21T08:00:00Z"})
    assert reap(cluster, Renewals()) == 0


def test_what_names_no_owner_or_is_not_ours_stays() -> None:
    cluster = team()
    add(cluster, "PyTorchJob", "by-hand")
    add(cluster, "PyTorchJob", "foreign", "gone", metadata={"labels": {}})
    assert reap(cluster, Renewals()) == 0


def test_an_owner_that_cannot_be_looked_at_keeps_its_own_and_no_more() -> None:
    class Forbidding(FakeCluster):
        def get(self, kind: str, name: str, namespace: str | None = None) -> Any:
            if name == "hidden":
                raise PrerequisiteError(Fault("Workflow", "403", "the right to do that", "ask"))
            return super().get(kind, name, namespace)

    cluster: Any = Forbidding()
    add(cluster, "PyTorchJob", "hidden-owner", "hidden")
    cluster.add("PyTorchJob", "odd", metadata={"labels": OURS, "annotations": owner_annotation("nobody")})
    add(cluster, "PyTorchJob", "dead", "gone")
    assert reap(cluster, Renewals()) == 1
    assert names(cluster) == ["hidden-owner", "odd"]


def test_what_a_new_run_takes_up_meanwhile_stays() -> None:
    class Adopting(FakeCluster):
        def list(self, kind: str, labels: Any = None, namespace: Any = None) -> Any:
            found = super().list(kind, labels, namespace)
            for item in found:
                self.patch(kind, item["metadata"]["name"], {"metadata": {"annotations": {"taken": "up"}}})
            return found

    cluster: Any = Adopting()
    add(cluster, "PyTorchJob", "training", "gone")
    assert reap(cluster, Renewals()) == 0
    assert names(cluster) == ["training"]

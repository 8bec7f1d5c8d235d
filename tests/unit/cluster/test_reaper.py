from typing import Any

import pytest

from spica.cluster.owner import Renewals
from spica.cluster.reaper import KINDS, orphans, reap
from spica.errors import Fault, PrerequisiteError

from ...fakes.cluster import FakeCluster

OURS = {"app.kubernetes.io/part-of": "spica"}


def team(*, workflow: bool = True) -> Any:
    """A namespace with one running workflow, `alive`."""
    cluster = FakeCluster()
    if workflow:
        cluster.add("Workflow", "alive", metadata={"namespace": "kubeflow"}, spec={})
    return cluster


def add(cluster: Any, kind: str, name: str, owner: str | None, **more: Any) -> None:
    metadata: dict[str, Any] = {"labels": OURS, **more.pop("metadata", {})}
    if owner:
        metadata["annotations"] = {"spica.dev/owner": f"Workflow/kubeflow/{owner}"}
    cluster.add(kind, name, metadata=metadata, **more)


def names(cluster: Any) -> list[str]:
    return [name for kind, _, name in cluster.objects if kind != "Workflow"]


def test_what_belongs_to_nobody_is_ended_trainings_first() -> None:
    cluster = team()
    add(cluster, "InferenceService", "server", "gone")
    add(cluster, "PyTorchJob", "training", "gone")
    assert KINDS == ("PyTorchJob", "InferenceService")
    assert [len(orphans(cluster, Renewals(), kind)) for kind in KINDS] == [1, 1]
    assert reap(cluster, Renewals()) == 2
    assert names(cluster) == []


def test_what_a_living_run_owns_stays() -> None:
    cluster = team()
    add(cluster, "PyTorchJob", "training", "alive")
    assert reap(cluster, Renewals()) == 0
    assert names(cluster) == ["training"]


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
    add(cluster, "PyTorchJob", "by-hand", None)
    cluster.add(
        "PyTorchJob", "foreign", metadata={"annotations": {"spica.dev/owner": "Workflow/kubeflow/gone"}}
    )
    assert reap(cluster, Renewals()) == 0


def test_an_owner_that_cannot_be_looked_at_keeps_its_own_and_no_more() -> None:
    class Forbidding(FakeCluster):
        def get(self, kind: str, name: str, namespace: str | None = None) -> Any:
            if name == "hidden":
                raise PrerequisiteError(Fault("Workflow", "403", "the right to do that", "ask"))
            return super().get(kind, name, namespace)

    cluster: Any = Forbidding()
    add(cluster, "PyTorchJob", "hidden-owner", "hidden")
    cluster.add("PyTorchJob", "odd", metadata={"labels": OURS, "annotations": {"spica.dev/owner": "nobody"}})
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

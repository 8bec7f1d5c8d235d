from typing import Any

import pytest

from spica.cluster.job import submit
from spica.errors import ConflictError

from ...fakes.cluster import FakeCluster
from .orders import job_of

OWNER = "spica.dev/owner"


def ended(cluster: Any, kind: str) -> None:
    [name] = [name for _, _, name in cluster.objects]
    cluster.patch("PyTorchJob", name, {"status": {"conditions": [{"type": kind, "status": "True"}]}})


@pytest.fixture
def cluster() -> Any:
    return FakeCluster()


def the_job(cluster: Any) -> Any:
    [job] = cluster.objects.values()
    return job


def test_a_job_is_made(cluster: Any) -> None:
    assert submit(cluster, job_of(), delivered=False) == "made"
    assert the_job(cluster)["spec"] == job_of()["spec"]


def test_an_equal_running_job_is_adopted_with_its_new_owner_and_run(cluster: Any) -> None:
    submit(cluster, job_of(), delivered=False)
    assert submit(cluster, job_of(run="run-2", owner="Workflow/kubeflow/w"), delivered=False) == "adopted"
    metadata = the_job(cluster)["metadata"]
    assert metadata["annotations"][OWNER] == "Workflow/kubeflow/w"
    assert metadata["labels"]["spica.dev/run"] == "run-2"


def test_a_finished_job_is_used_again(cluster: Any) -> None:
    submit(cluster, job_of(), delivered=False)
    ended(cluster, "Succeeded")
    assert submit(cluster, job_of(run="run-2"), delivered=True) == "finished"


def test_a_finished_job_whose_result_is_gone_is_made_anew(cluster: Any) -> None:
    submit(cluster, job_of(), delivered=False)
    ended(cluster, "Succeeded")
    assert submit(cluster, job_of(), delivered=False) == "made"
    assert "status" not in the_job(cluster)


def test_a_failed_job_is_made_anew(cluster: Any) -> None:
    submit(cluster, job_of(), delivered=False)
    ended(cluster, "Failed")
    assert submit(cluster, job_of(), delivered=True) == "made"
    assert "status" not in the_job(cluster)


def test_another_running_spec_of_this_name_is_a_conflict_that_names_both(cluster: Any) -> None:
    submit(cluster, job_of(), delivered=False)
    other = job_of(threads_per_rank=1)
    with pytest.raises(ConflictError, match=other["metadata"]["annotations"]["spica.dev/spec-digest"][:16]):
        submit(cluster, other, delivered=False)


def test_a_creation_whose_answer_was_lost_is_adopted() -> None:
    class Deaf(FakeCluster):
        def create(self, body: Any) -> Any:
            super().create(body)
            return super().create(body)

    assert submit(Deaf(), job_of(), delivered=False) == "adopted"  # type: ignore[arg-type]


def test_a_job_that_is_deleted_while_it_is_adopted_is_made_anew() -> None:
    class Reaping(FakeCluster):
        def patch(self, kind: str, name: str, body: Any) -> None:
            self.delete(kind, name)

    cluster: Any = Reaping()
    cluster.create(job_of())
    assert submit(cluster, job_of(), delivered=False) == "made"

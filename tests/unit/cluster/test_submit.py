from pathlib import Path
from typing import Any

import pytest

from spica.artifacts.s3_store import S3Store
from spica.cluster import job as module
from spica.cluster.job import submit
from spica.cluster.owner import owners_of
from spica.errors import ConflictError

from ...fakes.cluster import FakeCluster
from ..artifacts.artifact_examples import manifest_of, write_files
from .orders import KEY, TASK, WORK, job_of

ENDING = "delivery.json"


def ended(cluster: Any, kind: str) -> None:
    [name] = [name for _, _, name in cluster.objects]
    cluster.patch("PyTorchJob", name, {"status": {"conditions": [{"type": kind, "status": "True"}]}})


@pytest.fixture(autouse=True)
def connect(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "s3_store", lambda uri: store)


@pytest.fixture
def delivered(store: S3Store, tmp_path: Path) -> None:
    """A job of this name has left its result on the shelf."""
    store.job_shelf(TASK, KEY).save(write_files(tmp_path / "ending", delivery_json="{}"))


@pytest.fixture
def cluster() -> Any:
    return FakeCluster()


def the_job(cluster: Any) -> Any:
    [job] = cluster.objects.values()
    return job


def test_a_job_is_made(cluster: Any) -> None:
    assert submit(cluster, job_of(), WORK) == "made"
    assert the_job(cluster)["spec"] == job_of()["spec"]


def test_an_equal_running_job_is_adopted_and_belongs_to_both_runs(cluster: Any) -> None:
    submit(cluster, job_of(), WORK)
    assert submit(cluster, job_of(run="run-2", owner="Workflow/kubeflow/w"), WORK) == "adopted"
    metadata = the_job(cluster)["metadata"]
    assert sorted(owners_of(the_job(cluster))) == ["Lease/team/spica-run-1", "Workflow/kubeflow/w"]
    assert metadata["labels"]["spica.dev/run"] == "run-2"


def test_what_an_earlier_job_left_is_forgotten_before_a_new_one_is_made(
    cluster: Any, store: S3Store, tmp_path: Path
) -> None:
    store.job_shelf(TASK, KEY).save(write_files(tmp_path / "ending", error_json="{}"))
    submit(cluster, job_of(), WORK)
    assert store.job_shelf(TASK, KEY).names() == []


def test_what_a_job_leaves_stays_when_it_is_adopted(cluster: Any, store: S3Store, tmp_path: Path) -> None:
    submit(cluster, job_of(), WORK)
    store.job_shelf(TASK, KEY).save(write_files(tmp_path / "left", delivery_json="{}"))
    assert submit(cluster, job_of(run="run-2"), WORK) == "adopted"
    assert store.job_shelf(TASK, KEY).names() == [ENDING]


def test_a_finished_job_is_used_again(cluster: Any, delivered: None) -> None:
    cluster.create(job_of())
    ended(cluster, "Succeeded")
    assert submit(cluster, job_of(run="run-2"), WORK) == "finished"


def test_a_finished_job_whose_result_is_published_is_not_made_anew(
    cluster: Any, store: S3Store, tmp_path: Path
) -> None:
    cluster.create(job_of())
    ended(cluster, "Succeeded")
    folder = write_files(tmp_path / "files", model_bin="w")
    store.publish(folder, manifest_of(folder, key=KEY, task=TASK))
    assert submit(cluster, job_of(run="run-2"), WORK) == "finished"


def test_a_finished_job_whose_result_is_gone_is_made_anew(cluster: Any) -> None:
    submit(cluster, job_of(), WORK)
    ended(cluster, "Succeeded")
    assert submit(cluster, job_of(), WORK) == "made"
    assert "status" not in the_job(cluster)


def test_a_failed_job_is_made_anew(cluster: Any) -> None:
    submit(cluster, job_of(), WORK)
    ended(cluster, "Failed")
    assert submit(cluster, job_of(), WORK) == "made"
    assert "status" not in the_job(cluster)


def test_another_running_spec_of_this_name_is_a_conflict_that_names_both(cluster: Any) -> None:
    submit(cluster, job_of(), WORK)
    other = job_of(threads_per_rank=1)
    with pytest.raises(ConflictError, match=other["metadata"]["annotations"]["spica.dev/spec-digest"][:16]):
        submit(cluster, other, WORK)


def test_a_creation_whose_answer_was_lost_is_adopted() -> None:
    class Deaf(FakeCluster):
        def create(self, body: Any) -> Any:
            super().create(body)
            return super().create(body)

    assert submit(Deaf(), job_of(), WORK) == "adopted"  # type: ignore[arg-type]


def test_a_job_that_is_deleted_while_it_is_adopted_is_made_anew() -> None:
    class Reaping(FakeCluster):
        def patch(self, kind: str, name: str, body: Any) -> None:
            self.delete(kind, name)

    cluster: Any = Reaping()
    cluster.create(job_of())
    assert submit(cluster, job_of(), WORK) == "made"

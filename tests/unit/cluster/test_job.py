import json
from pathlib import Path
from typing import Any

import pytest

from spica.artifacts.s3_store import S3Store
from spica.artifacts.workspace import Work, Workspace
from spica.cluster import job as module
from spica.cluster.job import KubernetesJob
from spica.errors import StageError
from spica.launch.contract import Training

from ...fakes.cluster import FakeCluster
from ..artifacts.artifact_examples import write_files
from .orders import KEY, job_of

TASK = "sft-d_t"
WORK = Work(TASK, KEY, "s3://spica/runs")
NAME = job_of()["metadata"]["name"]
POD_LABELS = {"training.kubeflow.org/job-name": NAME}


@pytest.fixture(scope="module")
def store(s3_client: Any) -> S3Store:
    # A store keeps its client, and making one takes longer than most tests.
    return S3Store("spica", "runs")


@pytest.fixture
def out(s3: Any, store: S3Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setattr(module, "POLL_S", 0.01)
    monkeypatch.setattr(module, "s3_store", lambda uri: store)
    for name in ("files", "scratch"):
        (tmp_path / name).mkdir()

    def commit(*_: Any) -> Any:
        raise AssertionError("nothing is published here")

    return Workspace(tmp_path / "files", tmp_path / "scratch", commit, WORK)


def cluster_with(*conditions: str, reason: str = "") -> Any:
    """A cluster on which the job has these conditions, and a running master."""
    cluster = FakeCluster()
    status = {"conditions": [{"type": kind, "status": "True", "reason": reason} for kind in conditions]}
    uid = {"metadata": job_of()["metadata"] | {"uid": "uid-1"}}
    cluster.create(job_of() | uid | {"status": status})
    return cluster


def running(cluster: Any, out: Workspace, owner: str = "Lease/team/run") -> KubernetesJob:
    training = Training(
        name="sft-d_t",
        module="spica.sft.train",
        slice="{}",
        inputs={},
        out=out,
        num_nodes=8,
        ranks_per_node=8,
        threads_per_rank=8,
        logs=out.scratch / "train.log",
    )
    return KubernetesJob(cluster, NAME, training, WORK, owner)


def test_a_succeeded_job_hands_over_what_it_delivered(store: S3Store, out: Workspace, tmp_path: Path) -> None:
    delivery = store.deliver(TASK, KEY, write_files(tmp_path / "made", model_bin="w"))
    ending = tmp_path / "ending"
    ending.mkdir()
    (ending / "delivery.json").write_text(delivery.model_dump_json())
    (ending / "result.json").write_text("{}")
    store.job_shelf(TASK, KEY).save(ending)
    # What an earlier attempt of the stage left does not stand in the way.
    (out.scratch / "delivery.json").write_text("old")
    assert running(cluster_with("Succeeded"), out).wait() == 0
    assert out.delivery == delivery
    assert (out.scratch / "result.json").is_file()


def test_a_failed_job_brings_the_fault_of_its_ranks(store: S3Store, out: Workspace, tmp_path: Path) -> None:
    store.job_shelf(TASK, KEY).save(write_files(tmp_path / "ending", error_json='{"type": "DataError"}'))
    assert running(cluster_with("Failed"), out).wait() == 1
    assert json.loads((out.scratch / "error.json").read_text())["type"] == "DataError"


def test_a_job_that_failed_without_a_word_shows_the_log_of_the_first_pod(out: Workspace) -> None:
    cluster = cluster_with("Failed", reason="PyTorchJobFailed")
    ended = {"terminated": {"exitCode": 1, "finishedAt": "2026-11-21T08:00:00Z", "reason": "Error"}}
    cluster.add(
        "Pod", "w-3", metadata={"labels": POD_LABELS}, status={"containerStatuses": [{"state": ended}]}
    )
    cluster.written["w-3"] = "line 1\nImportError: no torch\n"
    with pytest.raises(StageError, match=r"first: w-3, exit code 1 Error\)\n +line 1\n +ImportError: no"):
        running(cluster, out).wait()


def test_a_job_that_vanishes_is_told(out: Workspace) -> None:
    with pytest.raises(StageError, match="deleted while it ran"):
        running(FakeCluster(), out).wait()


def test_lines_of_the_master_are_passed_on_and_logged(out: Workspace) -> None:
    cluster = cluster_with()
    for replica in ["master-0", *(f"worker-{index}" for index in range(7))]:
        cluster.add(
            "Pod",
            f"{NAME}-{replica}",
            metadata={"labels": POD_LABELS, "uid": replica},
            status={"phase": "Running"},
        )
    cluster.written[f"{NAME}-master-0"] = "sft D_T step 1\nsft D_T step 2\n"
    watching = running(cluster, out).watch()
    seen = [next(watching), next(watching), next(watching)]
    assert seen == [f"sft {NAME}: running: 8 pods", "sft D_T step 1", "sft D_T step 2"]
    done = {"conditions": [{"type": "Succeeded", "status": "True"}]}
    cluster.patch("PyTorchJob", NAME, {"status": done})
    assert f"sft {NAME}: succeeded" in list(watching)
    assert (out.scratch / "train.log").read_text().startswith("sft D_T step 1\nsft D_T step 2\n")


def test_a_stopped_job_is_deleted(out: Workspace) -> None:
    cluster = cluster_with()
    running(cluster, out).stop()
    assert cluster.objects == {}


def test_a_job_whose_run_lives_on_is_left_to_the_next_attempt(
    out: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = cluster_with()
    cluster.add("Workflow", "w", metadata={"namespace": "kubeflow"}, spec={})
    running(cluster, out, "Workflow/kubeflow/w").stop()
    assert cluster.get("PyTorchJob", NAME)
    assert "the next attempt" in capsys.readouterr().out

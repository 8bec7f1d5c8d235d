import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from spica.artifacts.s3_store import S3Store
from spica.artifacts.workspace import Delivery, Workspace
from spica.cluster import job as module
from spica.cluster.diagnosis import PATIENCE_S, State
from spica.cluster.job import KubernetesJob, submit
from spica.cluster.owner import owners_of
from spica.errors import StageError
from spica.launch.contract import Training

from ...fakes.cluster import FakeCluster
from ..artifacts.artifact_examples import write_files
from .orders import KEY, TASK, WORK, job_of

NAME = job_of()["metadata"]["name"]
OWNER = "Lease/team/spica-run-1"
"""Of the job that `job_of` makes."""
POD_LABELS = {"training.kubeflow.org/job-name": NAME}


@pytest.fixture
def out(store: S3Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
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


def running(cluster: Any, out: Workspace, owner: str = OWNER) -> KubernetesJob:
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
    return KubernetesJob(cluster, NAME, training, WORK, owner, "team-s3")


def deliver(store: S3Store, folder: Path) -> Delivery:
    """What node 0 leaves of a training that ended well."""
    delivery = store.deliver(TASK, KEY, write_files(folder / "made", model_bin="w"))
    ending = write_files(folder / "ending", result_json="{}")
    (ending / "delivery.json").write_text(delivery.model_dump_json())
    store.job_shelf(TASK, KEY).save(ending)
    return delivery


def test_a_succeeded_job_hands_over_what_it_delivered(store: S3Store, out: Workspace, tmp_path: Path) -> None:
    delivery = deliver(store, tmp_path)
    # What an earlier attempt of the stage left does not stand in the way.
    (out.scratch / "delivery.json").write_text("old")
    assert running(cluster_with("Succeeded"), out).wait() == 0
    assert out.delivery == delivery
    assert (out.scratch / "result.json").is_file()


@pytest.mark.parametrize("ended", ["Failed", "Succeeded"])
def test_a_result_that_was_not_delivered_is_none(
    store: S3Store, out: Workspace, tmp_path: Path, ended: str
) -> None:
    store.job_shelf(TASK, KEY).save(write_files(tmp_path / "ending", result_json="{}"))
    with pytest.raises(StageError):
        running(cluster_with(ended), out).wait()
    # The stage takes it for the end of a training.
    assert not (out.scratch / "result.json").exists()


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


def test_a_job_that_is_gone_hands_over_what_it_had_delivered(
    store: S3Store, out: Workspace, tmp_path: Path
) -> None:
    delivery = deliver(store, tmp_path)
    assert submit(FakeCluster(), job_of(), WORK) == "finished"
    assert running(FakeCluster(), out).wait() == 0
    assert out.delivery == delivery


def test_a_job_that_vanishes_is_told(out: Workspace) -> None:
    with pytest.raises(StageError, match="deleted while it ran"):
        running(FakeCluster(), out).wait()


def test_a_job_that_vanishes_tells_what_was_wrong_before_and_that_its_lease_had_lapsed(
    out: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    lapsed = "Lease spica-run-1 was gone and is made anew since 02:03:04 UTC, after 73 s: timed out"
    monkeypatch.setattr(module, "lapse_of", {OWNER: lapsed}.get)
    cluster = cluster_with()
    waiting = {"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "s3" not found'}}
    status = {"containerStatuses": [{"image": "train:9", "state": waiting}]}
    cluster.add("Pod", "m", metadata={"labels": POD_LABELS}, status=status)
    watching = running(cluster, out).watch()
    assert next(watching).endswith('misconfigured: m: secret "s3" not found')
    # The pods go before the job does.
    cluster.patch("PyTorchJob", NAME, {"metadata": {"deletionTimestamp": "2026-11-22T02:03:00Z"}})
    assert next(watching) == f"sft {NAME}: deleted: its pods end"
    cluster.delete("PyTorchJob", NAME)
    with pytest.raises(StageError) as error:
        next(watching)
    (fault,) = error.value.faults
    before = 'misconfigured: m: secret "s3" not found'
    assert fault.found == f"deleted while it ran; the reaper may have: {lapsed}; before, {before}"
    assert fault.next.startswith("mend what kept it from running, then check that the API server")


def test_a_trouble_that_is_over_is_not_told_of_a_job_that_vanishes(out: Workspace) -> None:
    cluster = cluster_with()
    unschedulable = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "full"}
    cluster.add("Pod", "m", metadata={"labels": POD_LABELS}, status={"conditions": [unschedulable]})
    job = running(cluster, out)
    assert job._look().name == "unschedulable"
    cluster.delete("Pod", "m")
    for index in range(8):
        cluster.add("Pod", f"p{index}", metadata={"labels": POD_LABELS}, status={"phase": "Running"})
    assert job._look().name == "running"
    cluster.objects.clear()
    with pytest.raises(StageError) as error:
        job._look()
    assert error.value.faults[0].found == "deleted while it ran"


def test_keys_that_the_store_refuses_to_the_pods_are_looked_for_in_the_profiles_secret(
    out: Workspace,
) -> None:
    cluster = cluster_with("Failed", reason="PyTorchJobFailed")
    ended = {"terminated": {"exitCode": 1, "finishedAt": "2026-11-21T08:00:00Z", "reason": "Error"}}
    cluster.add(
        "Pod", "w-3", metadata={"labels": POD_LABELS}, status={"containerStatuses": [{"state": ended}]}
    )
    fault = (
        "s3://spica/runs/sft-d_t/01/job\n"
        "  found:   credentials refused by http://s3:9000: SignatureDoesNotMatch\n"
        "  allowed: credentials that may list, read and write there\n"
        "  next:    set AWS_ACCESS_KEY_ID\n"
    )
    cluster.written["w-3"] = f"{fault}the store cannot be told: {fault}node 0: exit 1\n"
    with pytest.raises(StageError) as error:
        running(cluster, out).wait()
    (found,) = error.value.faults
    assert found.found.endswith("\n    w-3: credentials refused by http://s3:9000: SignatureDoesNotMatch")
    assert found.found.count("credentials refused") == 1
    assert found.next == "look at the keys in Secret team-s3 of namespace team, then run again"


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


def test_a_stopped_job_goes_on_for_another_run_that_took_it_up(
    out: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = cluster_with()
    submit(cluster, job_of(owner="Lease/team/spica-run-2"), WORK)
    running(cluster, out).stop()
    assert owners_of(cluster.get("PyTorchJob", NAME)) == ["Lease/team/spica-run-2"]
    assert "runs on for another run" in capsys.readouterr().out
    running(cluster, out, "Lease/team/spica-run-2").stop()
    assert cluster.objects == {}


def test_the_end_of_a_stopped_job_is_awaited_and_not_that_of_a_new_one_of_its_name(out: Workspace) -> None:
    class Slow(FakeCluster):
        """Deletion takes a few looks; then somebody else makes the job anew."""

        looks = 0

        def delete(self, kind: str, name: str, namespace: str | None = None, **only: str) -> None:
            self.looks = 3

        def get(self, kind: str, name: str, namespace: str | None = None) -> Any:
            self.looks -= 1
            if self.looks == 0:
                self.objects.clear()
                self.create(job_of())
            return super().get(kind, name, namespace)

    cluster: Any = Slow()
    cluster.create(job_of())
    running(cluster, out).stop()
    assert cluster.looks == 0


def test_a_job_that_cannot_start_is_given_up_and_its_quota_with_it(
    out: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PATIENCE_S, "image missing", 0.05)
    cluster = cluster_with()
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}
    status = {"containerStatuses": [{"image": "train:9", "state": waiting}]}
    cluster.add("Pod", "m", metadata={"labels": POD_LABELS}, status=status)
    with pytest.raises(StageError, match="image missing: m: train:9: not found") as error:
        list(running(cluster, out).watch())
    assert cluster.get("PyTorchJob", NAME) is None
    assert all(error.value.faults[0])


def test_patience_begins_anew_with_each_state(out: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    states = [
        State("unschedulable", "no node"),
        State("image missing", "not yet"),
        State("running", "8 pods"),
        State("succeeded", ""),
    ]
    now = iter(range(0, 10**6, 100))
    job = running(cluster_with(), out)
    monkeypatch.setattr(job, "_look", lambda: states.pop(0) if len(states) > 1 else states[0])
    monkeypatch.setattr(job, "_news", lambda wait_s: iter(()))
    monkeypatch.setattr(job, "_follow", lambda: None)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: next(now)))
    assert [line.split(": ")[1] for line in job.watch()] == [
        "unschedulable", "image missing", "running", "succeeded",
    ]  # fmt: skip


def test_a_state_that_stays_is_told_once_a_minute(out: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    turns = [State("image missing", "ErrImagePull"), State("image missing", "ImagePullBackOff")] * 5
    states = [*turns, State("succeeded", "")]
    now = iter(range(0, 10**6, 10))
    job = running(cluster_with(), out)
    monkeypatch.setattr(job, "_look", lambda: states.pop(0) if len(states) > 1 else states[0])
    monkeypatch.setattr(job, "_news", lambda wait_s: iter(()))
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: next(now)))
    # Ten looks in 100 s: each text at once, and again a minute later.
    assert [line.split(": ")[-1] for line in job.watch()][:-1] == ["ErrImagePull", "ImagePullBackOff"] * 2


def test_the_job_of_a_pipeline_is_left_to_another_attempt_or_the_reaper(
    out: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = cluster_with()
    running(cluster, out, "Workflow/kubeflow/w").stop()
    assert cluster.get("PyTorchJob", NAME)
    assert "another attempt takes it up" in capsys.readouterr().out

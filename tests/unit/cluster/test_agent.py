import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from spica.artifacts.manifest import Reference
from spica.artifacts.s3_store import S3Store
from spica.artifacts.workspace import Delivery
from spica.cluster.agent import Node, crash_signature
from spica.cluster.order import Order
from spica.errors import IntegrityError, PrerequisiteError

from ...fakes.s3_server import S3Server
from ..artifacts.artifact_examples import KEY, manifest_of, write_files

TASK = "sft-d_t"
JOB = f"runs/{TASK}/{KEY[:16]}/job"
STEP_7 = "checkpoints/step-00000007"


@pytest.fixture(scope="module")
def connected(s3_client: Any) -> S3Store:
    # A store keeps its client, and making one takes longer than most tests.
    return S3Store("spica", "runs")


@pytest.fixture
def store(s3: Any, connected: S3Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> S3Store:
    monkeypatch.setenv("SPICA_STATE", str(tmp_path / "pod-0"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), *sys.path]))
    # Bytecode of torch, kept where a container image keeps it.
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "")
    return connected


def order(mode: str, **changes: Any) -> Order:
    plain = Order(
        task=TASK,
        key=KEY,
        store="s3://spica/runs",
        module="gang_rank",
        slice=mode,
        inputs={},
        num_nodes=1,
        ranks_per_node=2,
        threads_per_rank=1,
        max_crashes=3,
    )
    return plain.model_copy(update=changes)


def node(store: S3Store, mode: str = "ends", rank: int = 0, **changes: Any) -> Node:
    """Node `rank`, in a new pod when the state folder is new."""
    return Node(order(mode, **changes), rank, store)


def kept(s3: Any) -> list[str]:
    found = s3.list_objects_v2(Bucket="spica", Prefix=f"{JOB}/").get("Contents", ())
    return sorted(item["Key"].removeprefix(f"{JOB}/") for item in found)


def put(s3: Any, name: str, content: str = "x") -> None:
    s3.put_object(Bucket="spica", Key=f"{JOB}/{name}", Body=content.encode())


def read(s3: Any, name: str) -> Any:
    return json.loads(s3.get_object(Bucket="spica", Key=f"{JOB}/{name}")["Body"].read())


@pytest.mark.slow
def test_a_result_is_delivered_and_published_from_where_it_lies(
    s3: Any, store: S3Store, tmp_path: Path
) -> None:
    assert node(store).run() == 0
    delivery = Delivery.model_validate(read(s3, "delivery.json"))
    assert [entry.path for entry in delivery.files] == ["model.bin"]
    whole = write_files(tmp_path / "whole", model_bin="from []")
    manifest = manifest_of(whole, task=TASK)
    execution = manifest.execution.model_copy(update={"blobs": delivery.blobs})
    (tmp_path / "empty").mkdir()
    published = store.publish(tmp_path / "empty", manifest.model_copy(update={"execution": execution}))
    assert (store.open(published).path / "model.bin").read_text() == "from []"
    assert kept(s3) == []


@pytest.mark.slow
def test_sigterm_saves_every_rank_and_the_next_pod_goes_on_from_there(
    s3: Any, store: S3Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-m", "spica.cluster.agent", order("waits").model_dump_json()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as agent:
        assert agent.stdout is not None
        num_ready = 0
        for line in agent.stdout:
            num_ready += line == "at work\n"
            if num_ready == 2:
                agent.send_signal(signal.SIGTERM)
                break
        agent.stdout.read()
    assert agent.returncode == 143
    checkpoint = {f"{STEP_7}/{name}" for name in ("weights-0", "weights-1", "manifest.json")}
    assert checkpoint | {"preempted.json"} <= set(kept(s3))
    monkeypatch.setenv("SPICA_STATE", str(tmp_path / "pod-1"))
    assert node(store, "ends").run() == 0
    [file] = Delivery.model_validate(read(s3, "delivery.json")).files
    assert file.size == len("from ['step-00000007']")
    assert "preempted.json" not in kept(s3)


@pytest.mark.slow
def test_the_third_equal_crash_is_final_and_says_why(s3: Any, store: S3Store) -> None:
    assert [node(store, "crashes").run() for _ in range(3)] == [138, 138, 1]
    [fault] = read(s3, "error.json")["faults"]
    assert fault["found"] == "3 times: ValueError: row N is odd"


@pytest.mark.slow
def test_a_lost_peer_is_a_retry_that_is_not_counted(s3: Any, store: S3Store) -> None:
    assert node(store, "loses a peer", ranks_per_node=1).run() == 138
    assert not [name for name in kept(s3) if name.startswith("crashes/")]


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_fault_of_the_data_is_final_on_every_node(s3: Any, store: S3Store, rank: int) -> None:
    assert node(store, "refuses", rank, ranks_per_node=1).run() == 1
    assert read(s3, "error.json")["type"] == "DataError"


def test_a_checkpoint_without_its_manifest_is_not_taken_for_whole(s3: Any, store: S3Store) -> None:
    put(s3, f"{STEP_7}/weights-0")
    put(s3, f"{STEP_7}/manifest.json")
    put(s3, "checkpoints/step-00000009/weights-0")
    pod = node(store)
    pod._restore()
    assert [path.name for path in (pod.scratch / "checkpoints").iterdir()] == ["step-00000007"]
    assert pod._step == 7


def test_only_node_0_gets_more_than_checkpoints(s3: Any, store: S3Store) -> None:
    put(s3, f"{STEP_7}/manifest.json")
    put(s3, "log.jsonl")
    worker = node(store, rank=1)
    worker._restore()
    assert [path.name for path in worker.scratch.iterdir()] == ["checkpoints"]


def test_the_ending_of_an_earlier_job_is_gone_before_a_new_one_begins(s3: Any, store: S3Store) -> None:
    for name in ("result.json", "delivery.json", "error.json", "preempted.json"):
        put(s3, name)
    pod = node(store)
    pod._restore()
    assert kept(s3) == []
    assert list(pod.scratch.iterdir()) == []


def test_a_worker_leaves_the_endings_alone(s3: Any, store: S3Store) -> None:
    put(s3, "error.json")
    node(store, rank=1)._restore()
    assert kept(s3) == ["error.json"]


def test_nodes_that_crash_together_are_one_crash(s3: Any, store: S3Store) -> None:
    gang = [node(store, rank=rank) for rank in range(4)]
    assert [member._count_crash("ValueError: odd") for member in gang] == [138] * 4
    assert [member._count_crash("ValueError: odd") for member in gang[:1] * 2] == [138, 1]


def test_other_errors_and_other_steps_are_other_crashes(s3: Any, store: S3Store) -> None:
    pod = node(store)
    assert [pod._count_crash(error) for error in ("a", "b", "a", "b")] == [138] * 4
    pod._step = 5
    assert pod._count_crash("a") == 138


def test_after_a_final_crash_the_count_begins_anew(s3: Any, store: S3Store) -> None:
    pod = node(store)
    assert [pod._count_crash("a") for _ in range(4)] == [138, 138, 1, 138]


def test_a_missing_input_is_tried_again_before_it_is_final(s3: Any, store: S3Store) -> None:
    gone = {"student": Reference(task="student", key="a" * 64, digest="b" * 64)}
    assert [node(store, inputs=gone).run() for _ in range(3)] == [138, 138, 1]
    assert "student" in read(s3, "error.json")["faults"][0]["found"]


def test_a_damaged_input_is_final_at_once(s3: Any, store: S3Store, tmp_path: Path) -> None:
    manifest = store.publish(
        write_files(tmp_path / "m", model_bin="w"), manifest_of(tmp_path / "m", task="student")
    )
    name = f"runs/student/{KEY[:16]}/{manifest.execution.blobs}/model.bin"
    s3.put_object(Bucket="spica", Key=name, Body=b"v")
    inputs = {"student": Reference(task="student", key=manifest.key, digest=manifest.digest)}
    assert node(store, inputs=inputs).run() == 1
    assert read(s3, "error.json")["type"] == IntegrityError.__name__


def test_a_store_that_is_away_is_a_retry_that_cannot_be_counted(s3_server: S3Server, store: S3Store) -> None:
    s3_server.answers.append(lambda environ: ("503 Service Unavailable", b""))
    assert node(store).run() == 138


def test_an_artifact_elsewhere_is_no_place_for_pods() -> None:
    from spica.cluster.order import s3_store

    with pytest.raises(PrerequisiteError, match="s3://bucket/prefix"):
        s3_store("file:///tmp/store")


CHILD_FAILED = "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: "


@pytest.mark.parametrize(
    ("lines", "signature"),
    [
        (["[rank0]: ValueError: row 17 at 0x7f3a", CHILD_FAILED], "ValueError: row N at N"),
        (["torch.OutOfMemoryError: 20.00 GiB"], "torch.OutOfMemoryError: N.N GiB"),
        (["KeyError: 'a'", "During handling ...", "ValueError: b"], "KeyError: 'a'"),
        (["RuntimeError: Connection closed by peer [10.0.0.3]", "ValueError: b"], "ValueError: b"),
        (["ValueError: b", "RuntimeError: Connection reset by peer"], "ValueError: b"),
        (["RuntimeError: [pair.cc] Connection closed by peer [10.0.0.3]:51", CHILD_FAILED], None),
        (["RuntimeError: [unbound_buffer.cc] Timed out waiting 1800000ms for recv operation"], None),
        (["torch.distributed.DistBackendError: NCCL error ... remote process exited"], None),
        (["torch.distributed.DistNetworkError: The client socket has timed out after 60000ms"], None),
        (["terminate called after Watchdog caught collective operation timeout"], None),
        ([], "the ranks ended without a word (killed, out of memory?)"),
        ([CHILD_FAILED], "the ranks ended without a word (killed, out of memory?)"),
    ],
)
def test_a_crash_is_known_by_the_error_that_began_it(lines: list[str], signature: str | None) -> None:
    assert crash_signature(lines) == signature

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from spica.artifacts.code import module_digest
from spica.artifacts.manifest import Reference
from spica.artifacts.s3_store import S3Store
from spica.artifacts.workspace import Delivery
from spica.cluster import agent
from spica.cluster.agent import Node
from spica.cluster.endings import forget_endings
from spica.cluster.order import Order
from spica.errors import IntegrityError, PrerequisiteError

from ...fakes.s3_server import S3Server
from ..artifacts.artifact_examples import KEY, manifest_of, write_files

Happens = list[Callable[[], Any]]
TASK = "sft-d_t"
JOB = f"runs/{TASK}/{KEY[:16]}/job"
STEP_7 = "checkpoints/step-00000007"
RUNS_A_RANK = """
import subprocess, sys
rank = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
sys.stdin.read()
rank.communicate()
"""


@pytest.fixture(scope="module")
def connected(s3_client: Any) -> S3Store:
    # A store keeps its client, and making one takes longer than most tests.
    return S3Store("spica", "runs")


@pytest.fixture
def store(s3: Any, connected: S3Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> S3Store:
    monkeypatch.setenv("SPICA_STATE", str(tmp_path / "pod-0"))
    monkeypatch.syspath_prepend(Path(__file__).parent)
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
        code=module_digest("gang_rank"),
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
    names = (item["Key"].removeprefix(f"{JOB}/") for item in found)
    return sorted(name for name in names if name != ".holder")


def put(s3: Any, name: str, content: str = "x") -> None:
    s3.put_object(Bucket="spica", Key=f"{JOB}/{name}", Body=content.encode())


def read(s3: Any, name: str) -> Any:
    return json.loads(s3.get_object(Bucket="spica", Key=f"{JOB}/{name}")["Body"].read())


def test_a_pod_whose_image_holds_other_code_is_refused_for_good(store: S3Store, s3: Any) -> None:
    assert node(store, code="0" * 64).run() == 1
    [fault] = read(s3, "error.json")["faults"]
    assert (fault["where"], fault["allowed"]) == ("code in image train", "000000000000, that of the order")


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
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as pod:
        assert pod.stdout is not None
        num_ready = 0
        for line in pod.stdout:
            num_ready += line == "at work\n"
            if num_ready == 2:
                pod.send_signal(signal.SIGTERM)
                break
        pod.stdout.read()
    assert pod.returncode == 143
    checkpoint = {f"{STEP_7}/{name}" for name in ("weights-0", "weights-1", "manifest.json")}
    assert checkpoint | {"preempted.json"} <= set(kept(s3))
    assert not any(name.startswith("attempts/") for name in kept(s3))
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
def test_a_lost_peer_is_an_attempt_and_no_crash(s3: Any, store: S3Store) -> None:
    assert node(store, "loses a peer", ranks_per_node=1).run() == 138
    assert not [name for name in kept(s3) if name.startswith("crashes/")]
    (attempt,) = (name for name in kept(s3) if name.startswith("attempts/"))
    assert read(s3, attempt) == "a peer was lost"


@pytest.mark.slow
def test_a_worker_stays_until_node_0_or_its_successor_has_delivered(
    s3_server: S3Server, s3: Any, store: S3Store, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    command = [sys.executable, "-m", "spica.cluster.agent"]
    command.append(order("ends", num_nodes=2, ranks_per_node=1).model_dump_json())
    delivers, goes_on = threading.Event(), threading.Event()

    def holds_back(environ: dict[str, Any]) -> None:
        if environ["REQUEST_METHOD"] == "PUT" and environ["PATH_INFO"].endswith("/model.bin"):
            delivers.set()
            goes_on.wait(300)

    s3_server.answers.append(holds_back)
    with ExitStack() as stack:

        def start(rank: int, pod: str) -> subprocess.Popen[bytes]:
            environment = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "PET_NODE_RANK": str(rank)}
            environment |= {"SPICA_STATE": str(tmp_path / pod)}
            process = subprocess.Popen(command, env=os.environ | environment)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        first, worker = start(0, "first"), start(1, "worker")
        assert delivers.wait(300)
        first.kill()
        first.wait()
        s3_server.answers.clear()
        goes_on.set()
        assert worker.poll() is None
        second = start(0, "second")
        assert worker.wait(300) == 138
        worker = start(1, "worker again")
        assert [second.wait(300), worker.wait(300)] == [0, 0]
    assert "delivery.json" in kept(s3)


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


def test_a_worker_begins_with_the_two_newest_checkpoints(s3: Any, store: S3Store) -> None:
    for step in (3, 7, 9):
        put(s3, f"checkpoints/step-{step:08d}/manifest.json")
    worker = node(store, rank=1)
    worker._restore()
    found = sorted(path.name for path in (worker.scratch / "checkpoints").iterdir())
    assert found == ["step-00000007", "step-00000009"]


def test_only_node_0_gets_more_than_checkpoints(s3: Any, store: S3Store) -> None:
    put(s3, f"{STEP_7}/manifest.json")
    put(s3, "log.jsonl")
    worker = node(store, rank=1)
    worker._restore()
    assert [path.name for path in worker.scratch.iterdir()] == ["checkpoints"]


def test_who_makes_a_job_forgets_how_earlier_ones_ended_but_nothing_of_worth(s3: Any, store: S3Store) -> None:
    endings = ("result.json", "error.json", "preempted.json")
    for name in (*endings, "attempts/00000000-0001-a.json", "crashes/00000000-node-0-b-c.json"):
        put(s3, name)
    put(s3, f"{STEP_7}/manifest.json")
    put(s3, "delivery.json")
    forget_endings(store.job_shelf(TASK, KEY))
    assert kept(s3) == [f"{STEP_7}/manifest.json", "delivery.json"]


@pytest.mark.slow
def test_a_delivery_is_told_only_when_its_result_is_kept(
    s3_server: S3Server, s3: Any, store: S3Store
) -> None:
    before: list[list[str]] = []

    def looks_on(environ: dict[str, Any]) -> None:
        if environ["REQUEST_METHOD"] == "PUT" and environ["PATH_INFO"].endswith("/delivery.json"):
            before.append(kept(s3))

    s3_server.answers.append(looks_on)
    assert node(store, ranks_per_node=1).run() == 0
    [names] = before
    assert "result.json" in names


def test_node_0_forgets_what_its_predecessor_left_and_no_error_of_a_worker(s3: Any, store: S3Store) -> None:
    for name in ("result.json", "error.json", "preempted.json"):
        put(s3, name)
    pod = node(store)
    pod._restore()
    assert kept(s3) == ["error.json"]
    assert list(pod.scratch.iterdir()) == []


def test_a_worker_leaves_the_endings_alone(s3: Any, store: S3Store) -> None:
    put(s3, "error.json")
    node(store, rank=1)._restore()
    assert kept(s3) == ["error.json"]


@pytest.mark.parametrize("rank", [0, 1])
def test_a_delivered_job_is_not_begun_again(s3: Any, store: S3Store, rank: int) -> None:
    put(s3, "delivery.json")
    assert node(store, rank=rank).run() == 0
    assert kept(s3) == ["delivery.json"]


class Pauses:
    """The agent's clock: only its own pauses pass, and at each the next thing happens."""

    def __init__(self) -> None:
        self.happens: Happens = []
        self._now = 0.0

    def monotonic(self) -> float:
        return self._now

    def sleep(self, pause_s: float) -> None:
        self._now += pause_s
        if self.happens:
            self.happens.pop(0)()


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Happens:
    """What happens while a node waits, pause by pause."""
    pauses = Pauses()
    monkeypatch.setattr(agent, "time", pauses)
    monkeypatch.setattr(agent, "LOOK_EVERY_S", 400.0)
    return pauses.happens


def test_a_worker_stays_until_the_result_is_delivered(s3: Any, store: S3Store, looks: Happens) -> None:
    looks += [lambda: None, lambda: put(s3, "delivery.json")]
    assert node(store, rank=1)._await_delivery() == 0
    assert looks == []


def test_a_worker_takes_part_again_when_node_0_does(s3: Any, store: S3Store, looks: Happens) -> None:
    put(s3, "attempts/00000007-0001-a.json")
    looks += [lambda: None, lambda: put(s3, "attempts/00000007-0002-b.json")]
    assert node(store, rank=1)._await_delivery() == 138
    assert looks == []


def test_a_worker_takes_part_again_when_node_0_did_before_its_ranks_had_ended(
    s3: Any, store: S3Store
) -> None:
    worker = node(store, rank=1)
    with subprocess.Popen([sys.executable, "-c", RUNS_A_RANK], stdin=subprocess.PIPE, text=True) as torchrun:
        put(s3, "attempts/00000007-0001-a.json")
        worker._note_gang(torchrun)
        torchrun.communicate()
    put(s3, "attempts/00000007-0002-b.json")
    assert worker._await_delivery() == 138


def test_a_worker_does_not_wait_for_ever(s3: Any, store: S3Store, looks: Happens) -> None:
    assert node(store, rank=1)._await_delivery() == 138


def test_a_worker_that_waits_leaves_when_it_is_told_to(s3: Any, store: S3Store, looks: Happens) -> None:
    worker = node(store, rank=1)
    looks.append(lambda: setattr(worker, "_terminated", True))
    assert worker._await_delivery() == 143


def test_a_peer_lost_just_before_sigterm_is_no_attempt(s3: Any, store: S3Store) -> None:
    pod = node(store)
    pod.records.begin()
    pod._terminated = True
    assert pod._conclude(138) == 143
    assert kept(s3) == []


def test_peers_that_are_lost_for_ever_are_no_endless_loop(s3: Any, store: S3Store) -> None:
    for number in range(9):
        put(s3, f"attempts/00000000-{number + 1:04d}-a.json", '"a peer was lost"')
    assert node(store).run() == 1
    [fault] = read(s3, "error.json")["faults"]
    assert fault["found"] == "9 attempts brought no newer checkpoint; the last one: a peer was lost"


def test_sigterm_while_inputs_are_fetched_is_no_attempt(s3_server: S3Server, s3: Any, store: S3Store) -> None:
    reference = Reference(task="student", key="a" * 64, digest="b" * 64)
    command = [sys.executable, "-m", "spica.cluster.agent", order("ends").model_dump_json()]
    command[-1] = order("ends", inputs={"student": reference}).model_dump_json()
    asked, ended = threading.Event(), threading.Event()

    def slow(environ: dict[str, Any]) -> None:
        if "/student/" in environ["PATH_INFO"]:
            asked.set()
            ended.wait(20)

    s3_server.answers.append(slow)
    with subprocess.Popen(command) as process:
        assert asked.wait(20)
        assert any(name.startswith("attempts/") for name in kept(s3))
        process.terminate()
        assert process.wait(20) == 143
        ended.set()
    assert kept(s3) == []


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


def test_a_store_that_comes_back_is_a_crash_that_is_counted(
    s3_server: S3Server, s3: Any, store: S3Store, looks: Happens
) -> None:
    s3_server.answers.append(lambda environ: ("503 Service Unavailable", b""))
    looks.append(s3_server.answers.clear)
    assert node(store).run() == 138
    assert [name.split("-")[0] for name in kept(s3)] == ["crashes/00000000"]


def test_a_store_that_stays_away_is_final(s3_server: S3Server, store: S3Store, looks: Happens) -> None:
    s3_server.answers.append(lambda environ: ("503 Service Unavailable", b""))
    assert node(store).run() == 1


@pytest.mark.parametrize("code", ["AccessDenied", "NoSuchBucket"])
def test_a_store_that_refuses_is_final_at_once(s3_server: S3Server, store: S3Store, code: str) -> None:
    body = f"<Error><Code>{code}</Code></Error>".encode()
    s3_server.answers.append(lambda environ: ("403 Forbidden", body))
    assert node(store).run() == 1


def test_what_could_not_be_copied_is_copied_when_the_store_is_back(
    s3_server: S3Server, s3: Any, store: S3Store, looks: Happens
) -> None:
    pod = node(store)
    pod.scratch.mkdir(parents=True)
    (pod.scratch / "log.jsonl").write_text("1\n")
    s3_server.answers.append(lambda environ: ("503 Service Unavailable", b""))
    looks.append(s3_server.answers.clear)
    pod._wait_for_store()
    assert kept(s3) == ["log.jsonl"]


def test_an_artifact_elsewhere_is_no_place_for_pods() -> None:
    from spica.cluster.order import s3_store

    with pytest.raises(PrerequisiteError, match="s3://bucket/prefix"):
        s3_store("file:///tmp/store")

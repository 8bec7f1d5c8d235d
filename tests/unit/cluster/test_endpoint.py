import json
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest

from spica.cluster import endpoint as module
from spica.cluster.api import Cluster
from spica.cluster.endpoint import KubernetesEndpoint
from spica.cluster.inferenceservice import inference_service
from spica.errors import ConflictError, EndpointError, Fault, PrerequisiteError

from .pods import GATED, READY, UNSCHEDULABLE, Object, container, pod, service
from .served import kubernetes, server

OWNER = "Workflow/kubeflow/run-1"


class OneServerCluster:
    """A namespace that holds one InferenceService; its pods go through `scenes`, one per look."""

    in_pod = False
    namespace = "team"

    def __init__(self, scenes: list[list[Object]], address: str) -> None:
        self.scenes = scenes
        self.address = address
        self.existing: Object | None = None
        self.created: list[Object] = []
        self.num_deleted = 0
        self.text = ""
        self.said: list[Object] = []
        self.workloads: list[Object] = []
        self.on_look: Callable[[], None] = lambda: None

    def get(self, kind: str, name: str) -> Object | None:
        if kind == "Service":
            return {"spec": {"clusterIP": self.address}}
        return self.existing

    def create(self, body: Object) -> Object:
        if self.existing is not None:
            raise ConflictError(Fault(body["metadata"]["name"], "409", "none", "look"))
        self.existing = {**service(), **body}
        self.created.append(body)
        return body

    def delete(self, kind: str, name: str) -> None:
        self.existing = None
        self.num_deleted += 1

    def events(self, name: str) -> list[Object]:
        return self.said if name == "p-1" else []

    def list(self, kind: str, labels: Mapping[str, str] | None = None) -> list[Object]:
        if kind == "Workload":
            return self.workloads
        self.on_look()
        if self.existing is None:
            return []
        return self.scenes.pop(0) if len(self.scenes) > 1 else self.scenes[0]

    def logs(self, pod: str, container: str, tail: int, previous: bool) -> str:
        return self.text


class Answers(BaseHTTPRequestHandler):
    """vLLM's API as far as one question needs it."""

    def do_GET(self) -> None:
        self._send({"data": [{"id": "D_T"}]})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._send({"choices": [{"message": {"content": "1"}}]})

    def _send(self, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{found.server_port}"
        found.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("POLL_S", 0.01), ("STUCK_S", 0.1), ("GONE_S", 0.5)):
        monkeypatch.setattr(module, name, value)


def start(cluster: OneServerCluster, tmp_path: Path, timeout_s: float = 5.0) -> KubernetesEndpoint:
    pods = kubernetes()
    serving = pods.serving.model_copy(update={"ready_timeout_s": timeout_s})
    asked = server(tmp_path / "server.log")
    pods = pods.model_copy(update={"serving": serving})
    return KubernetesEndpoint.start(cast(Cluster, cluster), asked, pods, "run-1", OWNER)


def refused(cluster: OneServerCluster, tmp_path: Path, timeout_s: float = 5.0) -> str:
    """The text of the error; whatever was wrong, nothing may be left behind."""
    with pytest.raises(EndpointError) as error:
        start(cluster, tmp_path, timeout_s)
    assert cluster.existing is None
    return str(error.value)


def test_ready_means_that_one_request_was_answered(address: str, tmp_path: Path) -> None:
    loading = [pod(container())]
    cluster = OneServerCluster([[], loading, loading, [READY]], address)
    with start(cluster, tmp_path) as endpoint:
        assert endpoint.url == f"http://{address}/v1"
        assert endpoint.model == "D_T"
        endpoint.check()
        assert cluster.existing is not None
    assert cluster.existing is None


def test_a_block_that_fails_deletes_the_server_too(address: str, tmp_path: Path) -> None:
    cluster = OneServerCluster([[READY]], address)
    with pytest.raises(KeyboardInterrupt), start(cluster, tmp_path):
        raise KeyboardInterrupt
    assert cluster.existing is None


def test_an_interrupted_wait_deletes_the_server(address: str, tmp_path: Path) -> None:
    def interrupt() -> None:
        cluster.on_look = lambda: None
        raise KeyboardInterrupt

    cluster = OneServerCluster([[pod(container())], []], address)
    cluster.on_look = interrupt
    with pytest.raises(KeyboardInterrupt):
        start(cluster, tmp_path)
    assert cluster.existing is None


def test_a_ready_pod_that_answers_nothing_is_not_ready(tmp_path: Path) -> None:
    cluster = OneServerCluster([[READY]], "127.0.0.1:1")
    assert "Connection refused" in refused(cluster, tmp_path, 0.1)


def test_a_timeout_says_what_the_pod_waits_for(address: str, tmp_path: Path) -> None:
    cluster = OneServerCluster([[pod(scheduled=UNSCHEDULABLE)]], address)
    assert "0 s: unschedulable: 0/9 nodes are available" in refused(cluster, tmp_path, 0.1)


def test_a_server_that_runs_and_never_listens_is_shown_with_its_probe_and_its_log(
    address: str, tmp_path: Path
) -> None:
    cluster = OneServerCluster([[pod(container())]], address)
    cluster.text = "hello\n"
    refused_probe = "Startup probe failed: Get http://10.0.0.1:8080/health: connection refused"
    cluster.said = [
        {"reason": "Unhealthy", "message": refused_probe},
        {"reason": "Pulled", "message": "image is there"},
    ]
    text = refused(cluster, tmp_path, 0.1)
    assert "not ready after 0 s: its container runs, nothing answers yet" in text
    assert f"pod p-1 runs: {refused_probe}; its last lines:\n    hello\n" in text
    assert "read " + str(tmp_path / "server.log") in text
    assert "hello" in (tmp_path / "server.log").read_text()


def test_a_server_that_has_written_nothing_is_said_so(address: str, tmp_path: Path) -> None:
    text = refused(OneServerCluster([[pod(container())]], address), tmp_path, 0.1)
    assert "pod p-1 runs: no probe has failed yet; it has written nothing" in text


def test_keys_that_the_store_refuses_are_looked_for_in_the_profiles_secret(
    address: str, tmp_path: Path
) -> None:
    ended = {"exitCode": 1, "reason": "Error", "message": "RuntimeError: S3 error [403]: Forbidden"}
    fetching = pod(
        container(waiting={"reason": "PodInitializing"}),
        init=container(name="storage-initializer", ended=ended),
    )
    text = refused(OneServerCluster([[fetching]], address), tmp_path)
    assert "next:    look at the keys in Secret spica-s3 of namespace team, then run again" in text


def test_what_stays_as_it_is_is_told_once_and_then_rarely(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STUCK_S", 60.0)
    failed, backing_off = (
        [pod(container(waiting={"reason": reason, "message": reason}))]
        for reason in ("ErrImagePull", "ImagePullBackOff")
    )
    start(OneServerCluster([*[failed, backing_off] * 10, [READY]], address), tmp_path).stop()
    assert capsys.readouterr().out.count("cannot be pulled: ErrImagePull,") == 1


def test_waiting_for_quota_does_not_count(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    queued = [pod(scheduled=GATED, phase="Pending") | {"spec": {"schedulingGates": [{"name": "kueue"}]}}]
    cluster = OneServerCluster([*[queued] * 20, [READY]], address)
    start(cluster, tmp_path, timeout_s=0.05).stop()
    assert "server D_T: queued, 0 s" in capsys.readouterr().out


def test_a_container_that_ended_is_reported_with_its_last_lines(address: str, tmp_path: Path) -> None:
    ended = pod(container(ended={"exitCode": 1, "reason": "Error"}))
    cluster = OneServerCluster([[ended]], address)
    cluster.text = "IntegrityError: /mnt/models/model.safetensors\n  found:   30000000 bytes, sha256 00"
    text = refused(cluster, tmp_path)
    assert "it ended with exit code 1 (IntegrityError: /mnt/models/model.safetensors)" in text
    assert "found:   30000000 bytes, sha256 00" in text
    assert cluster.text in (tmp_path / "server.log").read_text()


def test_without_its_log_the_termination_message_is_reported(address: str, tmp_path: Path) -> None:
    ended = pod(container(ended={"exitCode": 3, "reason": "Error", "message": "PrerequisiteError: x"}))
    assert "exit code 3: PrerequisiteError: x" in refused(OneServerCluster([[ended]], address), tmp_path)


def test_a_fault_that_stays_is_not_waited_for_until_the_timeout(address: str, tmp_path: Path) -> None:
    pulling = [pod(container(waiting={"reason": "ImagePullBackOff", "message": "not found"}))]
    assert "image serve:1 cannot be pulled: not found" in refused(
        OneServerCluster([pulling], address), tmp_path, 60.0
    )


def test_a_fault_that_passes_is_forgiven(address: str, tmp_path: Path) -> None:
    pulling = [pod(container(waiting={"reason": "ErrImagePull", "message": "timeout"}))]
    start(OneServerCluster([pulling, pulling, [READY]], address), tmp_path).stop()


def test_an_equal_server_of_an_earlier_attempt_is_adopted(address: str, tmp_path: Path) -> None:
    cluster = OneServerCluster([[READY]], address)
    start(cluster, tmp_path)
    start(cluster, tmp_path).stop()
    assert (len(cluster.created), cluster.num_deleted) == (1, 1)


def test_a_server_that_is_being_deleted_is_waited_for_and_made_anew(address: str, tmp_path: Path) -> None:
    cluster = OneServerCluster([[READY]], address)
    going = inference_service(server(), kubernetes(), "run-1", OWNER)
    going["metadata"]["deletionTimestamp"] = "2026-11-21T08:00:00Z"
    cluster.existing = going
    start(cluster, tmp_path)
    assert len(cluster.created) == 1


def test_another_spec_under_the_same_name_is_a_conflict_and_stays(address: str, tmp_path: Path) -> None:
    cluster = OneServerCluster([[READY]], address)
    cluster.existing = inference_service(server(num_servers=2), kubernetes(), "run-1", OWNER)
    with pytest.raises(ConflictError, match="another spec is served"):
        start(cluster, tmp_path)
    assert cluster.num_deleted == 0


def test_check_says_why_a_server_is_gone(address: str, tmp_path: Path) -> None:
    cluster = OneServerCluster([[READY]], address)
    with start(cluster, tmp_path) as endpoint:
        cluster.existing = None
        with pytest.raises(EndpointError, match="its InferenceService was deleted"):
            endpoint.check()


def test_pods_that_do_not_end_are_a_warning(
    address: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = OneServerCluster([[READY]], address)
    endpoint = start(cluster, tmp_path)
    monkeypatch.setattr(cluster, "list", lambda kind, labels: [READY])
    endpoint.stop()
    assert "is deleted, but not gone yet: p-1" in caplog.text


def test_a_headless_service_cannot_be_reached_from_outside(tmp_path: Path) -> None:
    with pytest.raises(PrerequisiteError, match="headless"):
        start(OneServerCluster([[READY]], "None"), tmp_path)


def test_inside_of_the_cluster_the_service_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(url: str, prompt: str) -> str:
        asked.append(url)
        return "D_T"

    monkeypatch.setattr(module, "ask_once", answer)
    for address in ("10.0.0.1", "None"):
        cluster = OneServerCluster([[READY]], address)
        cluster.in_pod = True
        start(cluster, tmp_path).stop()
    name = cluster.created[0]["metadata"]["name"]
    assert asked == [f"http://{name}-predictor.team.svc{port}/v1" for port in ("", ":8080")]

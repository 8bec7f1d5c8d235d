import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from kubernetes import client

from spica.cluster import api
from spica.cluster.api import Cluster
from spica.errors import ConflictError, PrerequisiteError, SpicaError, StageError

from .api_server import ApiServer, status

BODY = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "here"}}


@pytest.fixture
def server() -> Iterator[ApiServer]:
    started = ApiServer()
    yield started
    with suppress(OSError):
        started.close()


@pytest.fixture
def cluster(server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(api, "FIRST_PAUSE_S", 0.01)
    settings = client.Configuration(host=f"http://127.0.0.1:{server.port}")
    settings.retries = False
    connection = client.ApiClient(settings)
    yield Cluster(connection, "team", "team", in_pod=False)
    connection.rest_client.pool_manager.clear()


def test_an_object_is_read(cluster: Cluster) -> None:
    assert cluster.get("ConfigMap", "here") == BODY


@pytest.mark.parametrize(
    ("code", "kind", "exit_code"),
    [
        (401, PrerequisiteError, 3),
        (403, PrerequisiteError, 3),
        (404, PrerequisiteError, 3),
        (409, ConflictError, 1),
        (422, StageError, 1),
    ],
)
def test_a_refusal_is_told_at_once_and_never_repeated(
    cluster: Cluster, server: ApiServer, code: int, kind: type[SpicaError], exit_code: int
) -> None:
    server.answers += [status(code, "because of this")]
    with pytest.raises(kind, match=f"{code}: because of this") as caught:
        cluster.create(BODY)
    assert caught.value.exit_code == exit_code
    assert caught.value.faults[0].where == "ConfigMap team/here"
    assert len(server.requests) == 1


def test_a_name_that_is_not_there_is_none(cluster: Cluster, server: ApiServer) -> None:
    server.answers += [status(404, "not found")] * 3
    assert cluster.get("ConfigMap", "gone") is None
    assert cluster.patch("ConfigMap", "gone", {}) is None
    cluster.delete("ConfigMap", "gone")


def test_a_fault_names_the_namespace_that_was_asked(cluster: Cluster, server: ApiServer) -> None:
    server.answers += [status(403, "no")]
    with pytest.raises(PrerequisiteError, match="ConfigMap kubeflow/here"):
        cluster.get("ConfigMap", "here", "kubeflow")


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_an_overloaded_server_is_asked_again(cluster: Cluster, server: ApiServer, code: int) -> None:
    server.answers += [status(code, "later")] * 2
    assert cluster.get("ConfigMap", "here") == BODY
    assert len(server.requests) == 3


def test_the_same_cause_is_told_once_however_often_it_is_met(
    cluster: Cluster, server: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.answers += [status(503, "etcd is away")] * 3 + [status(503, "loading")]
    assert cluster.get("ConfigMap", "here") == BODY
    causes = [record.getMessage().partition("; asked again")[0] for record in caplog.records]
    assert causes == ["ConfigMap team/here: etcd is away", "ConfigMap team/here: loading"]


def test_a_server_that_stays_overloaded_is_given_up_with_its_reason(
    cluster: Cluster, server: ApiServer
) -> None:
    assert cluster.get("ConfigMap", "here")
    cluster.patience_s = 0.0
    server.answers += [status(503, "etcd is away")] * 9
    with pytest.raises(PrerequisiteError, match="etcd is away"):
        cluster.get("ConfigMap", "here")


def test_a_server_that_restarts_is_waited_for(cluster: Cluster, server: ApiServer) -> None:
    assert cluster.get("ConfigMap", "here") == BODY
    server.close()
    found: list[object] = []
    asking = threading.Thread(target=lambda: found.append(cluster.get("ConfigMap", "here")))
    asking.start()
    asking.join(0.2)
    assert asking.is_alive()
    again = ApiServer(server.port)
    asking.join(20)
    again.close()
    assert found == [BODY]


def test_a_connection_that_is_cut_in_its_handshake_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted: list[int] = []

    def cut(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                accepted.append(len(connection.recv(1 << 16)))
                connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=cut, args=(listener,), daemon=True).start()
        here = {"server": f"https://127.0.0.1:{listener.getsockname()[1]}", "insecure-skip-tls-verify": True}
        config = {
            "clusters": [{"name": "here", "cluster": here}],
            "users": [{"name": "me", "user": {"token": "any"}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
            "current-context": "here",
        }
        (tmp_path / "config").write_text(yaml.safe_dump(config))
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
        cluster = Cluster.connect()
        cluster.patience_s = 2.0
        with pytest.raises(PrerequisiteError, match="no answer from the API server"):
            cluster.get("Pod", "any")
        listener.shutdown(socket.SHUT_RDWR)
    assert len(accepted) > 1


def test_a_kind_that_the_cluster_lacks_is_named(cluster: Cluster) -> None:
    with pytest.raises(PrerequisiteError, match=r"no kubeflow\.org/v1 PyTorchJob"):
        cluster.list("PyTorchJob")


def test_objects_are_admitted_strictly(cluster: Cluster, server: ApiServer) -> None:
    cluster.create(BODY)
    assert [path for _, path, _ in server.requests] == [
        "/api/v1/namespaces/team/configmaps?fieldValidation=Strict"
    ]


def test_labels_select(cluster: Cluster, server: ApiServer) -> None:
    server.answers += [(200, {"kind": "ConfigMapList", "apiVersion": "v1", "items": [BODY]})]
    assert cluster.list("ConfigMap", {"a": "b", "c": "d"}, "*") == [BODY]
    assert server.requests[0][1] == "/api/v1/configmaps?labelSelector=a%3Db%2Cc%3Dd"


def test_a_patch_can_take_something_off_and_ask_for_one_version(cluster: Cluster, server: ApiServer) -> None:
    body = {"metadata": {"resourceVersion": "7", "annotations": {"a": None}}}
    server.answers += [status(409, "the object has been modified")]
    with pytest.raises(ConflictError):
        cluster.patch("ConfigMap", "here", body)
    assert server.requests[0][2] == body


def test_a_deletion_may_ask_for_one_version(cluster: Cluster, server: ApiServer) -> None:
    server.answers += [status(409, "the object has been modified")]
    with pytest.raises(ConflictError):
        cluster.delete("ConfigMap", "here", resourceVersion="7")
    options = {"propagationPolicy": "Foreground", "preconditions": {"resourceVersion": "7"}}
    assert server.requests[0][2] == options


def test_a_namespace_whose_quota_is_spent_is_not_told_as_a_right_that_lacks(
    cluster: Cluster, server: ApiServer
) -> None:
    server.answers += [status(403, "exceeded quota: jobs, requested: count/pytorchjobs=1, limited: 0")]
    with pytest.raises(PrerequisiteError, match="exceeded quota: jobs") as caught:
        cluster.create(BODY)
    assert "describe resourcequota" in caught.value.faults[0].next


@pytest.mark.parametrize("text", ["", "{[", "hello", "[1]", "kind: Config"])
def test_a_kubeconfig_that_is_none_is_a_prerequisite(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text(text)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(PrerequisiteError, match="no usable configuration"):
        Cluster.connect()


def test_no_configuration_is_a_prerequisite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.config.kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(PrerequisiteError, match="make cluster"):
        Cluster.connect()

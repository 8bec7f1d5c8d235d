"""Model servers as people and pipelines get them: real weights from S3, KServe, vLLM in a restricted pod."""

import json
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import boto3
import pytest

from bed.layout import KUBECONFIG
from bed.objects import kubectl
from spica.artifacts.folders import hash_files
from spica.artifacts.manifest import Artifact
from spica.artifacts.memo import execute
from spica.artifacts.s3_store import S3Store
from spica.cluster import endpoint as endpoint_module
from spica.cluster.api import Cluster
from spica.cluster.endpoint import KubernetesEndpoint
from spica.cluster.owner import owner_of_this_process, release
from spica.errors import EndpointError, PrerequisiteError
from spica.images import image
from spica.launch.contract import Launcher, ModelServer
from spica.recipe.load import load_recipe
from spica.recipe.plan import plan
from spica.recipe.schema import Kubernetes
from spica.recipe.slices import EvaluateSlice, StudentSlice
from spica.sources import student

from .figures import Measure
from .storage import storage_secret

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).parents[2]
RESOLVED = load_recipe("miniature", "cluster2")


@pytest.fixture(scope="module")
def checkpoint(team: str, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """The shipped miniature base model, published as a run publishes it."""
    bucket = f"{team}-serving"
    boto3.client("s3").create_bucket(Bucket=bucket)
    store = S3Store(bucket, "miniature")
    slice = cast(StudentSlice, plan(RESOLVED)["student"])
    state = tmp_path_factory.mktemp("state")
    return store.open(execute("student", student.run, slice, {}, store, cast(Launcher, None), state))


@pytest.fixture
def cluster(team: str, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setenv("KUBECONFIG", str(KUBECONFIG))
    monkeypatch.setenv("SPICA_NAMESPACE", team)
    return Cluster.connect()


@pytest.fixture
def owner(cluster: Cluster, team: str) -> Iterator[str]:
    found = owner_of_this_process(cluster, team)
    yield found
    release(cluster, found)


def server(checkpoint: Artifact, folder: Path) -> ModelServer:
    scale = cast(EvaluateSlice, plan(RESOLVED)["evaluate-base"]).server
    return ModelServer(name="base", checkpoint=checkpoint, logs=folder / "server.log", scale=scale)


def pods(**serving: Any) -> Kubernetes:
    """What the recipe asks for, with changes."""
    found = RESOLVED.scale.kubernetes
    assert found is not None
    return found.model_copy(update={"serving": found.serving.model_copy(update=serving)})


def left_behind(team: str) -> str:
    kinds = "inferenceservices,deployments,services,pods"
    return kubectl("get", kinds, "-n", team, "-l", "app.kubernetes.io/component=serving", "-o", "name")


def test_the_miniature_is_served_from_s3_and_answers(
    checkpoint: Artifact, cluster: Cluster, team: str, owner: str, tmp_path: Path, figure: Measure
) -> None:
    started = time.monotonic()
    with KubernetesEndpoint.start(cluster, server(checkpoint, tmp_path), pods(), team, owner) as endpoint:
        message = {"role": "user", "content": "What is 1 + 1?"}
        body = {"model": endpoint.model, "messages": [message], "max_tokens": 8, "temperature": 0}
        headers = {"Content-Type": "application/json"}
        asked = urllib.request.Request(f"{endpoint.url}/chat/completions", json.dumps(body).encode(), headers)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked, timeout=120) as answer:
            assert json.load(answer)["usage"]["completion_tokens"] >= 1
        figure("serving", "Ready from S3 weights and answers", f"{time.monotonic() - started:.0f} s")
        assert endpoint.model == "base"
        endpoint.check()
    assert left_behind(team) == ""
    assert "verified in" in (tmp_path / "server.log").read_text()


def test_one_flipped_bit_is_refused(
    checkpoint: Artifact, cluster: Cluster, team: str, owner: str, tmp_path: Path, figure: Measure
) -> None:
    s3 = boto3.client("s3")
    bucket, _, prefix = checkpoint.uri.removeprefix("s3://").partition("/")
    content = bytearray(s3.get_object(Bucket=bucket, Key=f"{prefix}/model.safetensors")["Body"].read())
    content[-1] ^= 1
    other = replace(server(checkpoint, tmp_path), checkpoint=moved(checkpoint, "flipped"))
    for entry in checkpoint.manifest.files:
        source = {"Bucket": bucket, "Key": f"{prefix}/{entry.path}"}
        s3.copy_object(Bucket=bucket, Key=f"flipped/{entry.path}", CopySource=source)
    s3.put_object(Bucket=bucket, Key="flipped/model.safetensors", Body=bytes(content))
    with pytest.raises(EndpointError, match=r"IntegrityError: /mnt/models/model\.safetensors"):
        KubernetesEndpoint.start(cluster, other, pods(), team, owner)
    figure("serving: one flipped bit", "refused", "refused (IntegrityError)")
    assert left_behind(team) == ""


def moved(checkpoint: Artifact, prefix: str) -> Artifact:
    bucket = checkpoint.uri.removeprefix("s3://").split("/")[0]
    return Artifact(checkpoint.manifest, f"s3://{bucket}/{prefix}", lambda _: Path("/nowhere"))


@pytest.mark.full
def test_a_wrong_key_is_said_at_once(
    checkpoint: Artifact, cluster: Cluster, team: str, owner: str, tmp_path: Path
) -> None:
    wrong = storage_secret("wrong-keys", AWS_SECRET_ACCESS_KEY="not-the-key")
    kubectl("apply", "-n", team, "-f", "-", stdin=wrong)
    secrets = pods().secrets.model_copy(update={"storage": "wrong-keys"})
    asked = pods().model_copy(update={"secrets": secrets})
    with pytest.raises(EndpointError, match="the weights cannot be fetched"):
        KubernetesEndpoint.start(cluster, server(checkpoint, tmp_path), asked, team, owner)


@pytest.mark.full
def test_a_checkpoint_that_is_not_there_is_said_at_once(
    checkpoint: Artifact, cluster: Cluster, team: str, owner: str, tmp_path: Path
) -> None:
    gone = replace(server(checkpoint, tmp_path), checkpoint=moved(checkpoint, "no-such-prefix"))
    with pytest.raises(EndpointError, match="No model found"):
        KubernetesEndpoint.start(cluster, gone, pods(), team, owner)


@pytest.mark.full
def test_a_pool_that_is_not_there_is_said_at_once(
    checkpoint: Artifact, cluster: Cluster, team: str, owner: str, tmp_path: Path
) -> None:
    asked = pods(node_pool="no-such-pool")
    with pytest.raises(PrerequisiteError, match=r"none has nodes with spica\.dev/pool=no-such-pool"):
        KubernetesEndpoint.start(cluster, server(checkpoint, tmp_path), asked, team, owner)
    assert left_behind(team) == ""


@pytest.mark.full
def test_a_quota_of_zero_says_so(
    checkpoint: Artifact,
    cluster: Cluster,
    team: str,
    owner: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(endpoint_module, "STUCK_S", 5.0)
    kubectl("create", "quota", "none", "-n", team, "--hard=pods=0")
    try:
        with pytest.raises(EndpointError, match=r"no pod can be made: .*exceeded quota: none"):
            KubernetesEndpoint.start(cluster, server(checkpoint, tmp_path), pods(), team, owner)
    finally:
        kubectl("delete", "quota", "none", "-n", team)


@pytest.mark.full
def test_an_image_that_is_not_there_is_named(
    checkpoint: Artifact,
    cluster: Cluster,
    team: str,
    owner: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(endpoint_module, "STUCK_S", 5.0)
    change = '[{"op": "replace", "path": "/spec/containers/0/image", "value": "localhost/spica/none:1"}]'
    back = change.replace("localhost/spica/none:1", image("serve"))
    kubectl("patch", "servingruntime", "spica-vllm", "-n", team, "--type=json", "-p", change)
    try:
        with pytest.raises(EndpointError, match="image localhost/spica/none:1 cannot be pulled"):
            KubernetesEndpoint.start(cluster, server(checkpoint, tmp_path), pods(), team, owner)
    finally:
        kubectl("patch", "servingruntime", "spica-vllm", "-n", team, "--type=json", "-p", back)


@pytest.mark.full
def test_a_server_that_is_never_ready_says_what_its_pod_waits_for(
    checkpoint: Artifact, cluster: Cluster, team: str, owner: str, tmp_path: Path
) -> None:
    """A second is too short for any model."""
    with pytest.raises(
        EndpointError, match=r"not ready after \d+ s: .*(pod|container|loading|model|weights)"
    ) as raised:
        KubernetesEndpoint.start(cluster, server(checkpoint, tmp_path), pods(ready_timeout_s=1), team, owner)
    assert "next:" in str(raised.value)
    assert left_behind(team) == ""


@pytest.mark.full
def test_a_checkpoint_of_another_model_is_refused_with_the_servers_own_words(
    checkpoint: Artifact, cluster: Cluster, team: str, owner: str, tmp_path: Path
) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    for file in checkpoint.path.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"architectures": ["NoSuchModel"]}))
    manifest = checkpoint.manifest.model_copy(update={"files": hash_files(folder)})
    for file in folder.iterdir():
        boto3.client("s3").upload_file(str(file), f"{team}-serving", f"other/{file.name}")
    other = Artifact(manifest, f"s3://{team}-serving/other", lambda _: folder)
    with pytest.raises(EndpointError, match="NoSuchModel"):
        KubernetesEndpoint.start(
            cluster, replace(server(checkpoint, tmp_path), checkpoint=other), pods(), team, owner
        )
    assert left_behind(team) == ""

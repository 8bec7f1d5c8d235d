"""Trainings that cannot be: what a person is told, in four parts, against the real cluster."""

import json
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import boto3
import pytest
import yaml

from bed.layout import KUBECONFIG
from bed.objects import apply, kubectl
from spica.artifacts.manifest import Reference
from spica.artifacts.memo import perform
from spica.cluster import launcher as launcher_module
from spica.cluster.api import VERSIONS
from spica.cluster.diagnosis import PATIENCE_S
from spica.cluster.launcher import KubernetesLauncher
from spica.cluster.order import MAX_NAME, label_value
from spica.errors import SpicaError
from spica.launch.contract import Launcher
from spica.recipe.load import load_recipe
from spica.recipe.plan import plan
from spica.recipe.schema import Kubernetes
from spica.recipe.slices import SftSlice, StudentSlice
from spica.sft.run import run
from spica.sources import student

from .rendered import Rendering
from .storage import storage_secret
from .training_client import slice_json
from .training_world import World

FOUR_PARTS = re.compile(r"(?s).+\n  found:   .+\n  allowed: .+\n  next:    .+")
pytestmark = [pytest.mark.cluster, pytest.mark.full]


@pytest.fixture(autouse=True)
def nothing_is_left(world: World) -> Iterator[None]:
    """A job that cannot start gives its quota back; jobs of other tests that succeeded may stay."""
    before = jobs(world.team)
    yield
    assert jobs(world.team) <= before
    mine = f"training.kubeflow.org/job-name notin ({', '.join(sorted(before))})"
    kubectl(
        "wait",
        "pods",
        "-n",
        world.team,
        "-l",
        f"app.kubernetes.io/component=training,{mine}",
        "--for=delete",
        "--timeout=60s",
    )


def jobs(namespace: str) -> set[str]:
    """Names of trainings."""
    found = kubectl("get", "pytorchjobs", "-n", namespace, "-o", "jsonpath={.items[*].metadata.name}")
    return set(found.split())


def pods(**training: Any) -> Kubernetes:
    """What profile cluster2 asks for, with changes."""
    found = load_recipe("miniature", "cluster2").scale.kubernetes
    assert found is not None
    return found.model_copy(update={"training": found.training.model_copy(update=training)})


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody mends anything here: five seconds stand for minutes."""
    for state, patience_s in PATIENCE_S.items():
        monkeypatch.setitem(PATIENCE_S, state, min(patience_s, 5.0))


@contextmanager
def queue(namespace: str, pool: str, cpus: str) -> Iterator[str]:
    """A LocalQueue of its own quota for a pool."""
    name, version = f"test-{uuid.uuid4().hex[:6]}", {"apiVersion": "kueue.x-k8s.io/v1beta1"}
    resources = [{"name": "cpu", "nominalQuota": cpus}, {"name": "memory", "nominalQuota": "64Gi"}]
    group = {"coveredResources": ["cpu", "memory"], "flavors": [{"name": name, "resources": resources}]}
    specs = {
        "ResourceFlavor": {"nodeLabels": {"spica.dev/pool": pool}},
        "ClusterQueue": {"namespaceSelector": {}, "resourceGroups": [group]},
        "LocalQueue": {"clusterQueue": name},
    }
    for kind, spec in specs.items():
        metadata = {"name": name} | ({"namespace": namespace} if kind == "LocalQueue" else {})
        apply(json.dumps(version | {"kind": kind, "metadata": metadata, "spec": spec}))
    try:
        yield name
    finally:
        kubectl("delete", "localqueue", name, "-n", namespace)
        kubectl("delete", "clusterqueue,resourceflavor", name, "--wait=false")


@contextmanager
def object_quota(namespace: str, hard: str) -> Iterator[None]:
    kubectl("create", "quota", "none", "-n", namespace, f"--hard={hard}")
    try:
        yield
    finally:
        kubectl("delete", "quota", "none", "-n", namespace)


def told(world: World, folder: Path, kubernetes: Kubernetes | None = None, **inputs: Reference) -> str:
    """What the error of one training says."""
    slice = SftSlice.model_validate_json(slice_json("cluster2", 1))
    artifacts = {
        name: world.store.resolve(reference, name) for name, reference in (world.inputs | inputs).items()
    }
    state = folder / "state"
    with pytest.raises(SpicaError) as raised:
        launcher = KubernetesLauncher(state, kubernetes or pods(), f"bad-{folder.name}")
        perform("sft-d_t", run, slice, artifacts, world.store, launcher, state)
    said = str(raised.value)
    assert FOUR_PARTS.match(said), said
    return said


def as_user(folder: Path, patch: pytest.MonkeyPatch, **user: str) -> None:
    config = yaml.safe_load(KUBECONFIG.read_text())
    config["users"][0]["user"] = user
    (folder / "config").write_text(yaml.safe_dump(config))
    patch.setenv("KUBECONFIG", str(folder / "config"))


def test_no_cluster(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    said = told(world, tmp_path)
    assert "found:   no usable configuration" in said and "make cluster" in said


def test_an_expired_token(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    as_user(tmp_path, monkeypatch, token="expired")
    said = told(world, tmp_path)
    assert "found:   401: " in said and "log in again" in said


def test_a_forbidden_verb(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kubectl("create", "serviceaccount", "reader", "-n", world.team)
    token = kubectl("create", "token", "reader", "-n", world.team).strip()
    as_user(tmp_path, monkeypatch, token=token)
    said = told(world, tmp_path)
    assert "found:   403: " in said and "ask the platform team for this right" in said


def test_a_missing_crd_or_an_old_version(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(VERSIONS, "PyTorchJob", "kubeflow.org/v2")
    said = told(world, tmp_path)
    assert "found:   the cluster has no kubeflow.org/v2 PyTorchJob" in said
    assert "spica doctor --cluster" in said


def test_a_quota_of_zero_in_the_queue(world: World, tmp_path: Path) -> None:
    with queue(world.team, "cpu", "0") as name:
        said = told(world, tmp_path, pods(queue=name))
    assert "inadmissible: its queue can never admit it" in said and "cpu" in said


def test_a_quota_of_zero_jobs_in_the_namespace(world: World, tmp_path: Path) -> None:
    with object_quota(world.team, "count/pytorchjobs.kubeflow.org=0"):
        said = told(world, tmp_path)
    assert "exceeded quota: none" in said


def test_a_quota_of_zero_pods_in_the_namespace(world: World, tmp_path: Path, impatient: None) -> None:
    with object_quota(world.team, "pods=0"):
        said = told(world, tmp_path)
    assert "refused: " in said and "exceeded quota: none" in said


def test_a_queue_that_is_not_there(world: World, tmp_path: Path, impatient: None) -> None:
    assert "LocalQueue no-such-queue doesn't exist" in told(world, tmp_path, pods(queue="no-such-queue"))


def test_a_missing_node_pool(world: World, tmp_path: Path) -> None:
    said = told(world, tmp_path, pods(node_pool="no-such-pool"))
    assert "none has nodes with spica.dev/pool=no-such-pool" in said


def test_a_node_pool_without_nodes(world: World, tmp_path: Path, impatient: None) -> None:
    with queue(world.team, "ghost", "4") as name:
        said = told(world, tmp_path, pods(queue=name, node_pool="ghost"))
    assert "unschedulable: " in said and "0/9 nodes are available" in said


def test_an_image_that_cannot_be_pulled(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, impatient: None
) -> None:
    monkeypatch.setattr(launcher_module, "image", lambda _: "localhost/spica/none:1")
    said = told(world, tmp_path)
    assert "image missing: " in said and "localhost/spica/none:1" in said


def test_a_secret_that_is_not_there(world: World, tmp_path: Path, impatient: None) -> None:
    said = told(world, tmp_path, with_storage("no-such-secret"))
    assert "misconfigured: " in said and 'secret "no-such-secret" not found' in said


def test_a_wrong_key_of_the_storage(world: World, tmp_path: Path) -> None:
    wrong = storage_secret("wrong-keys", AWS_SECRET_ACCESS_KEY="not-the-key")
    kubectl("apply", "-n", world.team, "-f", "-", stdin=wrong)
    said = told(world, tmp_path, with_storage("wrong-keys"))
    assert "credentials refused by http://minio" in said and "SignatureDoesNotMatch" in said
    assert "not-the-key" not in said


def test_names_that_are_too_long_are_cut(world: World) -> None:
    job = Rendering.of("miniature", "cluster2").job("sft-d_t", task="sft-" + "x" * 77)
    job["metadata"]["labels"]["spica.dev/run"] = label_value("r" * 200)
    options = ("--server-side", "--validate=strict", "--dry-run=server")
    kubectl("apply", *options, "-n", world.team, "-f", "-", stdin=json.dumps(job))
    assert len(job["metadata"]["name"]) == MAX_NAME


def test_a_checkpoint_of_another_model(world: World, tmp_path: Path) -> None:
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}
    boto3.client("s3").put_object(
        Bucket=world.team, Key="llama/config.json", Body=json.dumps(config).encode()
    )
    slice = cast(StudentSlice, plan(load_recipe("miniature", "cluster2"))["student"])
    model = slice.student.model_copy(update={"path": f"s3://{world.team}/llama"})
    asked = slice.model_copy(update={"student": model})
    with pytest.raises(SpicaError, match="LlamaForCausalLM") as raised:
        perform("student", student.run, asked, {}, world.store, cast(Launcher, None), tmp_path / "state")
    assert FOUR_PARTS.match(str(raised.value))


def with_storage(secret: str) -> Kubernetes:
    found = pods()
    return found.model_copy(update={"secrets": found.secrets.model_copy(update={"storage": secret})})

"""`spica doctor --cluster` says what is missing, against a real API server."""

import json
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from bed.layout import KUBECONFIG
from bed.objects import apply, kubectl
from spica.cluster.api import VERSIONS
from spica.cluster.doctor import examine
from spica.cluster.finding import Finding, State
from spica.cluster.operators import OPERATORS
from spica.cluster.steps import Steps
from spica.errors import PrerequisiteError
from spica.recipe.load import load_recipe

pytestmark = pytest.mark.cluster
Context = dict[str, str]
CONFIG = Path(os.environ.get("KUBECONFIG") or KUBECONFIG)


def doctor(
    recipe: str = "miniature", profile: str = "cluster2", steps: Steps | None = None
) -> dict[str, Finding]:
    return {finding.check: finding for finding in examine(load_recipe(recipe, profile), steps)}


def faults(found: dict[str, Finding]) -> dict[str, str]:
    return {check: finding.found for check, finding in found.items() if finding.state is State.FAULT}


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty namespace that the doctor is pointed at."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    monkeypatch.setenv("KUBECONFIG", str(CONFIG))
    monkeypatch.setenv("SPICA_NAMESPACE", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: Context, **cluster: str) -> None:
    config = yaml.safe_load(CONFIG.read_text())
    config["users"][0]["user"] = user
    config["clusters"][0]["cluster"] |= cluster
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))


def test_without_a_configuration_it_says_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(PrerequisiteError, match="set KUBECONFIG"):
        doctor()


def test_a_server_that_does_not_answer_is_given_up_within_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubeconfig(tmp_path, monkeypatch, {"token": "any"}, server="https://127.0.0.1:9")
    started = time.monotonic()
    found = doctor()
    assert time.monotonic() - started < 20
    assert list(found) == ["API server"]
    assert "no answer from the API server" in found["API server"].found


def test_an_expired_token_is_told_from_a_missing_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubeconfig(tmp_path, monkeypatch, {"token": "expired"})
    found = doctor()
    assert list(found) == ["API server"]
    assert found["API server"].found.startswith("401")
    assert "log in again" in found["API server"].next


def test_an_account_without_rights_is_told_all_of_them_at_once(
    here: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = kubectl("create", "token", "default", "-n", here).strip()
    kubeconfig(tmp_path, monkeypatch, {"token": token})
    found = doctor()
    assert found["rights"].found.startswith("forbidden: create pytorchjobs.kubeflow.org, get pytorchjobs")
    assert found["rights"].found.count(",") == 18
    assert {f.state for check, f in found.items() if check not in ("API server", "rights")} == {State.UNSEEN}


def test_an_empty_namespace_gets_every_fault_in_one_go(here: str) -> None:
    kubectl("create", "secret", "generic", "spica-s3", "-n", here, "--from-literal=AWS_REGION=hush-hush")
    found = doctor()
    said = faults(found)
    assert said["Secret spica-s3"] == "without AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL_S3"
    assert said["ServiceAccount spica-train"] == "missing"
    assert said["ServingRuntime spica-vllm"] == "missing"
    assert said["reaper"] == "no Deployment spica-reaper"
    assert said["queue of training"] == "no LocalQueue training"
    assert found["rights"].state is State.OK
    assert found["PyTorchJob"].state is State.OK
    assert "hush-hush" not in "".join(map(str, found.values()))


def test_what_the_steps_of_a_standalone_kfp_lack_is_told(here: str) -> None:
    elsewhere = f"{here}-kfp"
    kubectl("create", "namespace", elsewhere)
    kubectl("create", "serviceaccount", "runner", "-n", elsewhere)
    rule = ["--verb=create,get,list,watch,patch,delete", "--resource=pytorchjobs.kubeflow.org"]
    kubectl("create", "role", "some", "-n", here, *rule)
    kubectl(
        "create", "rolebinding", "some", "-n", here, "--role=some", f"--serviceaccount={elsewhere}:runner"
    )
    try:
        said = faults(doctor(steps=Steps(elsewhere, "runner")))
    finally:
        kubectl("delete", "namespace", elsewhere, "--wait=false")
    account = f"rights of {elsewhere}:runner"
    assert said[account].startswith("forbidden: create inferenceservices.serving")
    assert "pytorchjobs" not in said[account]
    assert said[f"{account} at home"] == "forbidden: get pods"
    assert said["reaper's rights"] == "forbidden: get workflows.argoproj.io"
    assert said[f"Secret {elsewhere}/spica-s3"] == "missing"


def test_a_missing_operator_and_an_old_one_are_named(here: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OPERATORS, "InferenceService", ("modelservers", "KServe 0.17"))
    monkeypatch.setitem(VERSIONS, "PyTorchJob", "kubeflow.org/v2")
    said = faults(doctor())
    assert said["InferenceService"] == "no such resource"
    assert said["PyTorchJob"] == "served as v1, needed as v2"


def test_a_quota_of_zero_and_a_pool_without_nodes_are_named(here: str) -> None:
    flavour = {"apiVersion": "kueue.x-k8s.io/v1beta1", "kind": "ResourceFlavor", "metadata": {"name": here}}
    flavour |= {"spec": {"nodeLabels": {"spica.dev/pool": "h100-8x"}}}
    quotas = [("nvidia.com/gpu", "0"), ("cpu", "2000"), ("memory", "100Gi")]
    resources = [{"name": name, "nominalQuota": quota} for name, quota in quotas]
    group = {
        "coveredResources": [name for name, _ in quotas],
        "flavors": [{"name": here, "resources": resources}],
    }
    queue = {"apiVersion": "kueue.x-k8s.io/v1beta1", "kind": "ClusterQueue", "metadata": {"name": here}}
    queue |= {"spec": {"namespaceSelector": {}, "resourceGroups": [group]}}
    local = {"apiVersion": "kueue.x-k8s.io/v1beta1", "kind": "LocalQueue", "spec": {"clusterQueue": here}}
    named = [local | {"metadata": {"name": name, "namespace": here}} for name in ("training", "serving")]
    try:
        for item in (flavour, queue, *named):
            apply(json.dumps(item))
        said = faults(doctor("virgo-72b", "cluster64"))
        assert said["queue of training"] == (
            "quota of pool h100-8x: memory 100 GiB of 12000 GiB needed, rdma/hca not covered,"
            " nvidia.com/gpu 0 of 64 needed"
        )
        assert "nodes of training" not in said
        said = faults(doctor("miniature", "cluster2"))
        assert said["queue of serving"] == f"no flavour of ClusterQueue {here} has pool cpu"
    finally:
        kubectl("delete", "clusterqueue,resourceflavor", here, "--wait=false")


def test_rdma_in_a_restricted_namespace_is_refused_before_anything_starts(here: str) -> None:
    kubectl("label", "namespace", here, "pod-security.kubernetes.io/enforce=restricted")
    said = faults(doctor("virgo-72b", "cluster64"))
    assert said["Pod Security"] == "restricted refuses capability IPC_LOCK of network infiniband"


def test_a_team_of_a_multi_user_kfp_is_known_by_its_account_and_must_pull_images_as_trainings_do(
    here: str,
) -> None:
    kubectl("create", "serviceaccount", "default-editor", "-n", here)
    kubectl("create", "serviceaccount", "spica-train", "-n", here)
    pull = '{"imagePullSecrets": [{"name": "our-registry"}]}'
    kubectl("patch", "serviceaccount", "spica-train", "-n", here, "-p", pull)
    found = doctor()
    assert found[f"registry of {here}:spica-train"].found == (
        f"no Secret {here}/our-registry, which the account names"
    )
    assert found[f"registry of {here}:default-editor"].found == (
        "it names no imagePullSecrets, spica-train names our-registry"
    )
    assert found["nodes of steps"].state is State.OK
    assert not [check for check in found if check.startswith("Secret kubeflow/")]

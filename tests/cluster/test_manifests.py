"""The manifests on a real API server: admitted, applied, followed by an installer, and gone again."""

import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from bed.layout import KUBECONFIG, MINIO_IP
from bed.objects import kubectl
from bed.processes import wait_until
from bed.programs import binary
from spica.errors import StageError

from .figures import Measure

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).parents[2]
README = (ROOT / "manifests" / "README.md").read_text()
AWS = {
    "AWS_ACCESS_KEY_ID": "spica",
    "AWS_SECRET_ACCESS_KEY": "spica-secret",
    "AWS_ENDPOINT_URL_S3": f"http://{MINIO_IP}:9000",
    "AWS_REGION": "us-east-1",
}
PEACEFUL = {
    "securityContext": {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "seccompProfile": {"type": "RuntimeDefault"},
    },
    "container": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    "volumes": [],
}
IPC_LOCK = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"], "add": ["IPC_LOCK"]}}
Object = dict[str, Any]


def whole_pod(**change: Any) -> Object:
    """The peaceful pod with another securityContext of its own."""
    return {"securityContext": {**PEACEFUL["securityContext"], **change}}


@pytest.fixture(scope="module")
def overlay(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The team's part of overlay dev under another namespace, as the guide tells a second team to do it."""
    folder = tmp_path_factory.mktemp("checkout") / "manifests"
    shutil.copytree(ROOT / "manifests", folder)
    made = folder / "overlays" / f"test-{uuid.uuid4().hex[:8]}"
    made.mkdir()
    text = f"namespace: {made.name}\nresources: [../dev/team]\n"
    (made / "kustomization.yaml").write_text(text)
    return made


@pytest.fixture(scope="module")
def team(overlay: Path) -> Iterator[str]:
    kubectl("apply", "--server-side", "--validate=strict", "-k", overlay)
    for account, role in (("a-step", "spica-pipeline"), ("a-person", "spica-user")):
        bound = ("--role", role, "--serviceaccount", f"{overlay.name}:{account}")
        kubectl("create", "serviceaccount", account, "-n", overlay.name)
        kubectl("create", "rolebinding", account, "-n", overlay.name, *bound)
    yield overlay.name
    kubectl("delete", "--timeout=180s", "-k", overlay)


@pytest.mark.parametrize("folder", ["base", "overlays/dev", "overlays/gpu"])
def test_every_object_is_admitted_strictly(folder: str, team: str, figure: Measure) -> None:
    rendered = [*yaml.safe_load_all(kubectl("kustomize", ROOT / "manifests" / folder))]
    text = "---\n".join(yaml.safe_dump(_in_namespace(item, team)) for item in rendered)
    said = kubectl(
        "apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-f", "-",
        stdin=text,
    )  # fmt: skip
    num_admitted = len(said.splitlines())
    assert num_admitted == len(rendered)
    measured = f"{num_admitted} of {len(rendered)}"
    figure(f"objects: manifests/{folder}", "100 % admitted, server-side, strict", measured)


def test_a_second_apply_changes_nothing(overlay: Path, team: str) -> None:
    assert kubectl("diff", "--server-side", "-k", overlay) == ""
    said = kubectl("apply", "--server-side", "-k", overlay)
    assert len(said.splitlines()) >= 25
    assert kubectl("diff", "--server-side", "-k", overlay) == ""


NOBODY: set[str] = set()
RIGHTS = {
    "spica-train": NOBODY,
    "spica-serve": NOBODY,
    "spica-submit": NOBODY,
    "spica-reaper": {
        "list pytorchjobs.kubeflow.org",
        "delete pytorchjobs.kubeflow.org",
        "list inferenceservices.serving.kserve.io",
        "delete inferenceservices.serving.kserve.io",
        "get workflows.argoproj.io",
        "get leases.coordination.k8s.io",
        "list leases.coordination.k8s.io",
        "delete leases.coordination.k8s.io",
    },
    "a-step": {
        "create pytorchjobs.kubeflow.org",
        "get pytorchjobs.kubeflow.org",
        "watch pytorchjobs.kubeflow.org",
        "patch pytorchjobs.kubeflow.org",
        "delete pytorchjobs.kubeflow.org",
        "create inferenceservices.serving.kserve.io",
        "get inferenceservices.serving.kserve.io",
        "delete inferenceservices.serving.kserve.io",
        "list workloads.kueue.x-k8s.io",
        "get localqueues.kueue.x-k8s.io",
        "get pods",
        "list pods",
        "list events",
        "get services",
        "get pods/log",
        "get podtemplates",
    },
}


@pytest.mark.parametrize("account", RIGHTS)
def test_an_account_may_do_this_and_nothing_else(account: str, team: str, figure: Measure) -> None:
    everybody = rights("default", "default", "default")
    found = rights(team, account, team) - everybody
    assert found == RIGHTS[account]
    assert rights(team, account, "default") == everybody
    for resource in ("nodes", "secrets", "clusterqueues.kueue.x-k8s.io", "clusterroles"):
        assert not may(f"system:serviceaccount:{team}:{account}", "get", resource, team)
    measured = f"{len(found - RIGHTS[account])} beyond {len(RIGHTS[account])} listed"
    figure(f"access: rights of {account}", "0 beyond the listed", measured)


def test_a_person_may_do_what_a_step_may_but_read_no_secret(team: str) -> None:
    found = rights(team, "a-person", team)
    assert found > RIGHTS["a-step"] | {"patch leases.coordination.k8s.io", "get localqueues.kueue.x-k8s.io"}
    kept = {
        "secrets",
        "pods/exec",
        "roles.rbac.authorization.k8s.io",
        "rolebindings.rbac.authorization.k8s.io",
    }
    assert [right for right in found if right.partition(" ")[2] in kept] == []


def test_a_pod_under_restricted_is_admitted(team: str) -> None:
    create_pod(team, PEACEFUL)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"hostNetwork": True}, "host namespaces"),
        ({"hostPID": True}, "host namespaces"),
        ({"volumes": [{"name": "host", "hostPath": {"path": "/"}}]}, "hostPath|volumes of other types"),
        ({"container": {"privileged": True}}, "privileged"),
        ({"container": {**PEACEFUL["container"], "runAsUser": 0}}, "runAsUser"),
        ({"container": {"allowPrivilegeEscalation": False}}, "capabilities"),
        (
            {"container": {**IPC_LOCK, "capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}}},
            "capabilities",
        ),
        ({"securityContext": {"runAsNonRoot": True, "runAsUser": 10001}}, "seccompProfile"),
        ({"securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}}, "runAsNonRoot"),
        (whole_pod(runAsUser=0), "runAsUser"),
        (whole_pod(sysctls=[{"name": "kernel.msgmax", "value": "1"}]), "sysctls"),
        (whole_pod(seLinuxOptions={"type": "spc_t"}), "seLinuxOptions"),
        (whole_pod(appArmorProfile={"type": "Unconfined"}), "(?i:apparmor)"),
        ({"hostUsers": False, "container": {**PEACEFUL["container"], "procMount": "Unmasked"}}, "procMount"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_pod_that_wants_more_is_refused(change: Object, reason: str, team: str, rdma: str) -> None:
    with pytest.raises(StageError, match=rf"violates PodSecurity(.|\n)*({reason})"):
        create_pod(team, PEACEFUL | change)
    with pytest.raises(StageError, match=rf"spica-restricted-with-ipc-lock(.|\n)*({reason})"):
        create_pod(rdma, PEACEFUL | change)


def test_only_the_exception_for_rdma_allows_locked_memory_and_only_to_trainings(team: str, rdma: str) -> None:
    locked = PEACEFUL | {"container": IPC_LOCK}
    create_pod(rdma, locked, "training")
    with pytest.raises(StageError, match="spica-restricted-with-ipc-lock"):
        create_pod(rdma, locked, "serving")
    with pytest.raises(StageError, match="violates PodSecurity"):
        create_pod(team, locked, "training")


@pytest.fixture(scope="module")
def rdma() -> Iterator[str]:
    """A namespace as overlay gpu makes it, with its admission policies."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    policies = ROOT / "manifests" / "overlays" / "gpu" / "rdma.yaml"
    kubectl("apply", "--server-side", "-f", policies)
    kubectl("create", "namespace", name)
    kubectl(
        "label", "namespace", name, "pod-security.kubernetes.io/enforce=privileged", "spica.dev/rdma=allowed"
    )
    wait_until("the policy", lambda: not _admitted(name, {**PEACEFUL, "hostNetwork": True}), limit_s=60)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")
    kubectl("delete", "-f", policies)


def test_an_installer_follows_the_guide_and_nothing_is_left(tmp_path: Path, figure: Measure) -> None:
    """Every bash block of manifests/README.md, from a cluster with operators to the same cluster again."""
    assert "spica" not in names("namespaces"), "somebody has Spica installed here: uninstall it first"
    shutil.copytree(ROOT / "manifests", tmp_path / "manifests")
    (tmp_path / ".venv").symlink_to(Path(sys.prefix).resolve())
    s3 = boto3.client("s3", **_client(AWS))
    if "spica" not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(Bucket="spica")
    shared = ROOT / "manifests" / "overlays" / "dev" / "cluster"
    was_there = "spica" in names("clusterqueues")
    kubectl("delete", "--ignore-not-found", "--timeout=60s", "-k", shared)
    try:
        operators, *blocks = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
        follow(operators, tmp_path)
        before = everything()
        for block in blocks:
            follow(block, tmp_path)
        assert everything() == before
        figure("install guide", "followed command by command, nothing left", f"{len(blocks) + 1} blocks")
    finally:
        if was_there:
            kubectl("apply", "--server-side", "-k", shared)


def follow(block: str, folder: Path) -> None:
    environment = {
        "PATH": f"{Path(binary('kubectl')).parent}:{os.environ['PATH']}",
        "KUBECONFIG": os.environ.get("KUBECONFIG") or str(KUBECONFIG),
        "HOME": str(folder),
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        **AWS,
    }
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
    assert AWS["AWS_SECRET_ACCESS_KEY"] not in done.stdout + done.stderr


def everything() -> set[str]:
    """Every object that somebody made on purpose; what controllers write as they go is left out."""
    passing = {"events", "events.events.k8s.io", "leases.coordination.k8s.io", "pods", "endpoints"}
    passing |= {"endpointslices.discovery.k8s.io", "replicasets.apps", "controllerrevisions.apps"}
    passing |= {"ipaddresses.networking.k8s.io", "pods.metrics.k8s.io", "nodes.metrics.k8s.io"}
    kinds = set(kubectl("api-resources", "--verbs=list,delete", "-o", "name").split()) - passing
    columns = "custom-columns=K:.kind,NS:.metadata.namespace,N:.metadata.name"
    listed = kubectl("get", ",".join(sorted(kinds)), "-A", "--no-headers", "-o", columns)
    return {" ".join(line.split()) for line in listed.splitlines()}


def rights(namespace: str, account: str, where: str) -> set[str]:
    """What the authoriser says an account may do in a namespace, one "verb resource" each."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": where},
    }
    user = f"system:serviceaccount:{namespace}:{account}"
    asked = ("create", "-f", "-", "-o", "json", "--validate=false", f"--as={user}")
    answer = json.loads(kubectl(*asked, stdin=json.dumps(review)))
    assert not answer["status"]["incomplete"]
    return {
        f"{verb} {resource}"
        + (f".{group}" if group else "")
        + "".join(map(str, rule.get("resourceNames", [])))
        for rule in answer["status"]["resourceRules"]
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def may(user: str, verb: str, resource: str, namespace: str) -> bool:
    try:
        return kubectl("auth", "can-i", verb, resource, "-n", namespace, f"--as={user}").strip() == "yes"
    except StageError:
        return False


def names(kind: str) -> list[str]:
    return [item["metadata"]["name"] for item in json.loads(kubectl("get", kind, "-o", "json"))["items"]]


def create_pod(namespace: str, spec: Object, component: str = "none") -> None:
    """Ask the API server whether it would take the pod."""
    rest = {key: value for key, value in spec.items() if key != "container"}
    container = {"name": "main", "image": "example", "securityContext": spec["container"]}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "asked",
            "namespace": namespace,
            "labels": {"app.kubernetes.io/component": component},
        },
        "spec": rest | {"containers": [container]},
    }
    kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(pod))


def _admitted(namespace: str, spec: Object) -> bool:
    try:
        create_pod(namespace, spec)
    except StageError:
        return False
    return True


def _in_namespace(item: Object, namespace: str) -> Object:
    """The object in a namespace that exists: a dry run makes none."""
    metadata = item["metadata"]
    if item["kind"] == "Namespace":
        metadata["name"] = namespace
    if metadata.get("namespace") == "spica":
        metadata["namespace"] = namespace
    return item


def _client(environment: dict[str, str]) -> dict[str, str]:
    return {
        "endpoint_url": environment["AWS_ENDPOINT_URL_S3"],
        "aws_access_key_id": environment["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": environment["AWS_SECRET_ACCESS_KEY"],
        "region_name": environment["AWS_REGION"],
    }

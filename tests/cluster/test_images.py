"""The images as `make images` builds them, in pods as strict as those of a team's namespace."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bed import images
from bed.objects import apply, kubectl
from bed.objects import namespace as namespace_manifest
from spica.artifacts.code import code_digest

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).parents[2]
NAMES = ("control", "train", "serve")
STAGES = ("sources", "distill", "dataset", "sft", "evaluate", "report", "serve")
LOOK = f"""
import json, os, shutil, subprocess, sys
from pathlib import Path
from spica.artifacts.code import code_digest

def digest(stage):
    def run(): pass
    run.__module__ = f"spica.{{stage}}.run"
    return code_digest(run)

def is_writable(folder):
    try:
        Path(folder, "probe").touch()
    except OSError:
        return False
    return True

found = subprocess.run(["find", "/", "-xdev", "-type", "f", "-perm", "/6000"], capture_output=True, text=True)
bytecode = [path.cached for path in (json.__spec__, sys.modules["spica.artifacts.code"].__spec__)]
refs = Path("/opt/spica/share/spica/refs.yaml")
print(json.dumps({{
    "uid": os.getuid(),
    "python": [shutil.which("python"), *sys.version_info[:2]],
    "digests": [digest(stage) for stage in {STAGES}],
    "writable": [folder for folder in ("/", "/opt/spica", "/tmp") if is_writable(folder)],
    "setuid": found.stdout.split(),
    "bytecode": [Path(path).exists() for path in bytecode],
    "refs": refs.read_text() if refs.exists() else "",
}}))
"""


def build(**environment: str) -> dict[str, str]:
    """Name -> id of each image built."""
    command = [ROOT / "images/build", "mounted"]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env=dict(os.environ) | environment
    )
    tags = {tag: identity for _, tag, identity in (line.split() for line in done.stdout.splitlines())}
    return {name: tags[ref] for name, ref in refs().items()}


def refs() -> dict[str, str]:
    return dict(yaml.safe_load((ROOT / "images/refs.yaml").read_text()))


@pytest.fixture(scope="module")
def built() -> dict[str, str]:
    return build()


@pytest.fixture(scope="module")
def namespace(built: dict[str, str]) -> Iterator[str]:
    for ref in refs().values():
        images.load(images.FOLDER / f"{ref.rpartition('/')[2].replace(':', '-')}.tar")
    name = f"test-{uuid.uuid4().hex[:8]}"
    apply(namespace_manifest(name))
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module", params=NAMES)
def seen(request: pytest.FixtureRequest, namespace: str) -> tuple[str, dict[str, Any]]:
    """An image, and what a pod with a read-only root found in it."""
    name = str(request.param)
    kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted", "--overwrite")
    return name, json.loads(output(namespace, f"look-{name}", name, ["python", "-c", LOOK]))


@pytest.mark.full
def test_the_same_checkout_gives_the_same_images_where_none_was_built_before(built: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "images").mkdir()
        shutil.copy(images.base_archive(), f"{folder}/images")
        storage = f'driver = "overlay"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n'
        Path(folder, "storage.conf").write_text(f"[storage]\n{storage}")
        assert build(CONTAINERS_STORAGE_CONF=f"{folder}/storage.conf", SPICA_CACHE=folder) == built


def test_a_pod_runs_as_10001_and_writes_nowhere_but_into_its_tmp(seen: tuple[str, dict[str, Any]]) -> None:
    assert (seen[1]["uid"], seen[1]["writable"]) == (10001, ["/tmp"])


def test_python_is_3_11_with_its_bytecode(seen: tuple[str, dict[str, Any]]) -> None:
    assert seen[1]["python"] == ["/opt/spica/bin/python", 3, 11]
    assert seen[1]["bytecode"] == [True, True]


def test_no_program_changes_its_user(seen: tuple[str, dict[str, Any]]) -> None:
    assert seen[1]["setuid"] == []


def test_cache_keys_are_those_of_the_checkout(seen: tuple[str, dict[str, Any]]) -> None:
    def digest(stage: str) -> str:
        def run() -> None:
            pass

        run.__module__ = f"spica.{stage}.run"
        return code_digest(run, ROOT / "components/spica")

    assert seen[1]["digests"] == [digest(stage) for stage in STAGES]


def test_an_image_names_only_the_images_that_its_pods_start(seen: tuple[str, dict[str, Any]]) -> None:
    name, found = seen
    expected = {key: ref for key, ref in refs().items() if key != "control"} if name == "control" else None
    assert yaml.safe_load(found["refs"]) == expected


def test_the_init_container_of_a_training_finds_names(namespace: str) -> None:
    answer = output(namespace, "names", "train", ["nslookup", "kubernetes.default.svc.cluster.local"])
    assert "kubernetes.default.svc.cluster.local" in answer


def test_with_the_packages_mounted_the_images_own_spica_runs(namespace: str) -> None:
    kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce-")
    environment = Path(sys.prefix).resolve()
    spec = {
        "volumes": [{"name": "environment", "hostPath": {"path": str(environment)}}],
        "env": [{"name": "PYTHONPATH", "value": "/venv/lib/python3.11/site-packages"}],
        "mounts": [{"name": "environment", "mountPath": "/venv", "readOnly": True}],
    }
    assert "miniature: no fault" in output(namespace, "check", "control", ["spica", "check"], spec)


def output(
    namespace: str, pod: str, name: str, command: list[str], environment: dict[str, Any] | None = None
) -> str:
    """Standard output of `command` in a pod of the image `name`."""
    extra = environment or {"volumes": [], "env": [], "mounts": []}
    container = {
        "name": "main",
        "image": refs()[name],
        "imagePullPolicy": "Never",
        "command": command,
        "env": extra["env"],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, *extra["mounts"]],
    }
    spec = {
        "restartPolicy": "Never",
        "nodeSelector": {"spica.dev/pool": "cpu"},
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {}}, *extra["volumes"]],
    }
    metadata = {"name": pod, "namespace": namespace}
    apply(json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}))
    phase = "--for=jsonpath={.status.phase}=Succeeded"
    kubectl("wait", phase, f"pod/{pod}", "-n", namespace, "--timeout=120s")
    return kubectl("logs", pod, "-n", namespace)

"""Namespaces for tests on the cluster: an empty one for each, and a team's for all that train and serve."""

import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from bed import images
from bed.layout import CACHE, KUBECONFIG
from bed.objects import apply, kubectl
from bed.objects import namespace as namespace_manifest
from spica.images import image

from .storage import KEYS, OUTSIDE, storage_secret

# The tests of the test cluster say nothing about anybody else's.
collect_ignore = [] if os.environ.get("KUBECONFIG", "") in ("", str(KUBECONFIG)) else ["test_bed.py"]

ROOT = Path(__file__).parents[2]
OVERLAY = ROOT / "manifests" / "overlays" / "dev"


@pytest.fixture
def namespace() -> Iterator[str]:
    """A new namespace, deleted with all it holds after the test."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    apply(namespace_manifest(name))
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="session")
def storage() -> Iterator[dict[str, str]]:
    """The environment of a client of the cluster's store, set for the session."""
    environment = KEYS | {"AWS_ENDPOINT_URL_S3": OUTSIDE, "AWS_DEFAULT_REGION": "us-east-1"}
    with pytest.MonkeyPatch.context() as patch:
        for key, value in environment.items():
            patch.setenv(key, value)
        yield environment


@pytest.fixture(scope="session")
def team(storage: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A team's namespace by manifests/overlays/dev, as the guide makes a second one; and Spica's images."""
    name = f"test-team-{uuid.uuid4().hex[:6]}"
    for each in ("control", "train", "serve"):
        images.load(CACHE / "images" / f"{each}-{image(each).rsplit(':', 1)[1]}.tar")
    folder = tmp_path_factory.mktemp("overlay")
    base = os.path.relpath(OVERLAY / "team", folder.resolve())
    (folder / "kustomization.yaml").write_text(yaml.safe_dump({"namespace": name, "resources": [base]}))
    apply(kubectl("kustomize", OVERLAY / "cluster"))
    volume = (OVERLAY / "volume.yaml").read_text()
    apply(volume.replace("NAMESPACE", name).replace("ENVIRONMENT", str(Path(sys.prefix).resolve())))
    apply(kubectl("kustomize", folder))
    kubectl("apply", "-n", name, "-f", "-", stdin=storage_secret("spica-s3"))
    yield name
    kubectl("delete", "namespace", name, "--timeout=180s")
    kubectl("delete", "persistentvolume", f"spica-environment-{name}")

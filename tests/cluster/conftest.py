"""A namespace of its own for each test on the cluster."""

import os
import uuid
from collections.abc import Iterator

import pytest

from bed.layout import KUBECONFIG
from bed.objects import apply, kubectl
from bed.objects import namespace as namespace_manifest

# The tests of the test cluster say nothing about anybody else's.
collect_ignore = [] if os.environ.get("KUBECONFIG", "") in ("", str(KUBECONFIG)) else ["test_bed.py"]


@pytest.fixture
def namespace() -> Iterator[str]:
    """A new namespace, deleted with all it holds after the test."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    apply(namespace_manifest(name))
    yield name
    kubectl("delete", "namespace", name, "--wait=false")

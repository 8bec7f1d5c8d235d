"""A team on the simulated pool: its namespace by base/team with overlay gpu's exception for RDMA."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from bed.layout import KUBECONFIG
from bed.objects import apply, kubectl
from bed.processes import wait_until
from spica.cluster.api import Cluster

from .storage import storage_secret

ROOT = Path(__file__).parents[2]
MANIFESTS = ROOT / "manifests"
GPU = MANIFESTS / "overlays" / "gpu"
JOB = "training.kubeflow.org/job-name"
Object = dict[str, Any]


class Pool:
    """64 simulated GPUs in 8 nodes, as the clients of one namespace see them."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def bound(self) -> dict[str, int]:
        """Job -> how many of its pods have a node, finished ones left out; jobs without any are left out."""
        found: dict[str, int] = {}
        for pod in self.cluster.list("Pod"):
            job = pod["metadata"].get("labels", {}).get(JOB)
            is_over = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
            if job and pod["spec"].get("nodeName") and not is_over:
                found[job] = found.get(job, 0) + 1
        return found

    def running(self, job: str) -> int:
        pods = self.cluster.list("Pod", {JOB: job})
        return sum((pod.get("status") or {}).get("phase") == "Running" for pod in pods)

    def wait_running(self, job: str, *, limit_s: float) -> None:
        wait_until(f"8 pods of {job}", lambda: self.running(job) == 8, limit_s=limit_s)

    def is_waiting(self, job: str) -> bool:
        """Told by Kueue to wait, and without a pod."""
        found = self.cluster.get("PyTorchJob", job)
        suspended = found is not None and found["spec"]["runPolicy"].get("suspend") is True
        return suspended and not self.cluster.list("Pod", {JOB: job})

    def has(self, job: str, condition: str) -> bool:
        found = self.cluster.get("PyTorchJob", job) or {}
        conditions = (found.get("status") or {}).get("conditions", ())
        return any(item["type"] == condition and item["status"] == "True" for item in conditions)

    def clear(self) -> None:
        """Delete all jobs of the namespace, and wait until their pods and their quota are free."""
        for job in self.cluster.list("PyTorchJob"):
            self.cluster.delete("PyTorchJob", job["metadata"]["name"])
        wait_until(
            "an empty pool",
            lambda: not any(map(self.cluster.list, ("PyTorchJob", "Pod", "Workload"))),
            limit_s=60,
        )


@contextmanager
def pool(folder: Path) -> Iterator[Pool]:
    """The namespace, empty of pods: its reaper would need an image from a registry.

    Args:
        folder: an empty one.
    """
    name = f"test-gpu-{uuid.uuid4().hex[:6]}"
    overlay = yaml.safe_load((GPU / "kustomization.yaml").read_text())
    # kustomize takes folders from outside of its own, and no files.
    (folder / "rdma.yaml").write_text((GPU / "rdma.yaml").read_text())
    base = os.path.relpath(MANIFESTS / "base" / "team", folder.resolve())
    overlay["resources"] = [base, "rdma.yaml"]
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(overlay | {"namespace": name}))
    before = {key: os.environ.get(key) for key in ("KUBECONFIG", "SPICA_NAMESPACE")}
    apply(kubectl("kustomize", MANIFESTS / "overlays" / "dev" / "cluster"))
    apply(kubectl("kustomize", folder))
    try:
        kubectl("scale", "deployment/spica-reaper", "-n", name, "--replicas=0")
        kubectl("apply", "-n", name, "-f", "-", stdin=storage_secret("spica-s3"))
        os.environ |= {"KUBECONFIG": before["KUBECONFIG"] or str(KUBECONFIG), "SPICA_NAMESPACE": name}
        found = Pool(Cluster.connect())
        wait_until("no pod", lambda: not found.cluster.list("Pod"), limit_s=60)
        yield found
    finally:
        for key, value in before.items():
            os.environ.pop(key, None)
            os.environ |= {key: value} if value is not None else {}
        kubectl("delete", "namespace", name, "--timeout=120s")
        kubectl("delete", "--ignore-not-found", "-f", GPU / "rdma.yaml")


def running_for(duration: str) -> Object:
    """A PodTemplate by which a simulated pod ends with success after so long, such as 5s."""
    return {"metadata": {"annotations": {"spica.dev/run-for": duration}}}


def name_of(body: Object) -> str:
    return str(body["metadata"]["name"])

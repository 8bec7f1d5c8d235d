"""Objects of the API server: apply, wait, look."""

import json
import string
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bed import images, layout
from bed.layout import KUBECONFIG, MANIFESTS
from bed.processes import wait_until
from bed.programs import binary
from spica.errors import Fault, StageError

ADDRESSES = {
    name: str(getattr(layout, name))
    for name in ("DNS_IP", "MINIO_IP", "KFP_IP", "NODE_IP", "DATABASE_PORT", "SIMULATED_POD_CIDR")
}

NAMESPACES = ("argo", "kserve", "kube-system", "kubeflow", "kueue-system", "spica-storage")


def kubectl(*arguments: str | Path, stdin: str | None = None) -> str:
    """Output of `kubectl` as the cluster's administrator.

    Raises:
        StageError: it exited with another code than 0; the message carries what it said.
    """
    command = [binary("kubectl"), "--kubeconfig", KUBECONFIG, *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True)
    if done.returncode:
        where = " ".join(["kubectl", *map(str, arguments)])
        raise StageError(Fault(where, done.stderr.strip()[-2000:], "exit 0", f"look into {layout.STATE}/log"))
    return done.stdout


def apply(text: str) -> None:
    """Apply manifests, server-side: some CRDs are larger than the annotation of a client-side apply."""
    limit = time.monotonic() + 120
    while True:
        try:
            kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=text)
            return
        except StageError as error:
            # Kueue's and KServe's webhooks guard what others apply, also before their own pods are there.
            if "failed calling webhook" not in str(error) or time.monotonic() > limit:
                raise
            time.sleep(1)


def manifest(name: str) -> str:
    """One of the files of ../manifests, its images and addresses filled in."""
    return fill((MANIFESTS / f"{name}.yaml").read_text())


def fill(text: str) -> str:
    """Put images and addresses in the place of `${image_...}` and of the addresses' names."""
    return string.Template(text).substitute(images.names() | ADDRESSES | {"environment": sys.prefix})


def namespace(name: str) -> str:
    """The manifest of a namespace."""
    return json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


def unready() -> list[str]:
    """The cluster's own Deployments (namespace/name) without all their replicas, and nodes not Ready."""
    items = json.loads(kubectl("get", "deployments,nodes", "-A", "-o", "json"))["items"]
    own = [item for item in items if item["metadata"].get("namespace") in (None, *NAMESPACES)]
    return [_name(item) for item in own if not _is_ready(item)]


def wait_ready(*, limit_s: float = 300) -> None:
    """Wait until every Deployment of the cluster itself is available.

    Raises:
        StageError: one is not within `limit_s`; the message names it and says what its pods wait for.
    """
    try:
        wait_until("Deployments", lambda: not unready(), limit_s=limit_s)
    except StageError:
        found = f"not ready: {', '.join(unready())}\n{_pod_reasons()}"
        raise StageError(
            Fault("cluster", found, f"ready within {limit_s:.0f} s", "kubectl describe the pods")
        ) from None


def _is_ready(item: dict[str, Any]) -> bool:
    conditions = {row["type"]: row["status"] for row in item.get("status", {}).get("conditions", [])}
    if item["kind"] == "Node":
        return conditions.get("Ready") == "True"
    status = item.get("status", {})
    current = status.get("observedGeneration", 0) >= item["metadata"]["generation"]
    updated = status.get("updatedReplicas", 0) == status.get("replicas", 0) == status.get("readyReplicas", 0)
    return current and updated and conditions.get("Available") == "True"


def _name(item: dict[str, Any]) -> str:
    return "/".join(filter(None, (item["metadata"].get("namespace"), item["metadata"]["name"])))


def _pod_reasons() -> str:
    where = "NAMESPACE:.metadata.namespace,POD:.metadata.name"
    columns = f"{where},PHASE:.status.phase,STATE:.status.containerStatuses[*].state"
    return kubectl(
        "get", "pods", "-A", "--field-selector=status.phase!=Succeeded", "-o", f"custom-columns={columns}"
    )

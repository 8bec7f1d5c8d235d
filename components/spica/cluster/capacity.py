"""Whether queue and nodes of a cluster can hold what a profile asks for."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from kubernetes.utils.quantity import parse_quantity

from spica.cluster.api import Cluster, Object, Objects
from spica.cluster.finding import Finding, State
from spica.cluster.network import NETWORKS
from spica.cluster.pool import POOL
from spica.recipe.schema import Kubernetes, Pods, Scale

MAX_IMAGES_OF_NODE = 50
"""A kubelet reports no more of them (nodeStatusMaxImages)."""


class Demand(NamedTuple):
    """Pods that must run together."""

    what: str
    num_pods: int
    pods: Pods
    resources: dict[str, Decimal]
    """Of each pod."""


def demands(scale: Scale, kubernetes: Kubernetes) -> tuple[Demand, ...]:
    """What one training asks for, and the servers of one model."""
    training, serving = kubernetes.training, kubernetes.serving
    network = NETWORKS[training.network].resources
    return (
        Demand("training", scale.num_nodes, training, _resources(training, network)),
        Demand("serving", scale.num_servers, serving, _resources(serving, {})),
    )


def _resources(pods: Pods, more: dict[str, str]) -> dict[str, Decimal]:
    asked = {"cpu": str(pods.cpus), "memory": f"{pods.memory_gib}Gi", **more}
    if pods.gpus:
        asked["nvidia.com/gpu"] = str(pods.gpus)
    return {name: parse_quantity(value) for name, value in asked.items()}


def examine_queue(cluster: Cluster, demand: Demand) -> Iterator[Finding]:
    """LocalQueue, its ClusterQueue, and the quota of the pool's flavour."""
    check = f"queue of {demand.what}"
    local = cluster.get("LocalQueue", demand.pods.queue)
    if local is None:
        advice = "apply the manifests (manifests/README.md, Install), or name another queue in the profile"
        yield Finding(check, State.FAULT, f"no LocalQueue {demand.pods.queue}", advice)
        return
    name = local["spec"]["clusterQueue"]
    queue = cluster.get("ClusterQueue", name)
    if queue is None:
        advice = "apply manifests/base/cluster, or point the LocalQueue at another one"
        yield Finding(check, State.FAULT, f"LocalQueue {demand.pods.queue} names no ClusterQueue", advice)
    elif reason := _inactive(queue):
        found = f"ClusterQueue {name} admits nothing: {reason}"
        yield Finding(check, State.FAULT, found, f"kubectl describe clusterqueue {name}")
    elif missing := _labels_missing(cluster, queue):
        found = f"ClusterQueue {name} admits nothing of namespace {cluster.namespace}: no label {missing}"
        yield Finding(check, State.FAULT, found, f"kubectl label namespace {cluster.namespace} {missing}")
    else:
        yield _quota(cluster, demand, check, queue)


def _labels_missing(cluster: Cluster, queue: Object) -> str:
    """What the queue's namespaceSelector asks for and the namespace lacks, as `kubectl label` takes it."""
    asked = (queue["spec"].get("namespaceSelector") or {}).get("matchLabels") or {}
    there = ((cluster.get("Namespace", cluster.namespace) or {}).get("metadata") or {}).get("labels") or {}
    return " ".join(f"{name}={value}" for name, value in asked.items() if there.get(name) != value)


def _inactive(queue: Object) -> str:
    conditions = (queue.get("status") or {}).get("conditions", ())
    return next((c["message"] for c in conditions if c["type"] == "Active" and c["status"] == "False"), "")


def _quota(cluster: Cluster, demand: Demand, check: str, queue: Object) -> Finding:
    name, pool = queue["metadata"]["name"], demand.pods.node_pool
    quota = _quota_of_pool(cluster, queue, pool)
    if quota is None:
        advice = f"add a ResourceFlavor with node label {POOL}={pool} to ClusterQueue {name}"
        return Finding(check, State.FAULT, f"no flavour of ClusterQueue {name} has pool {pool}", advice)
    short = []
    for resource, each in demand.resources.items():
        needed, there = each * demand.num_pods, quota.get(resource)
        if there is None:
            short.append(f"{resource} not covered")
        elif there < needed:
            short.append(f"{resource} {amount(resource, there)} of {amount(resource, needed)} needed")
    if short:
        advice = f"raise nominalQuota in ClusterQueue {name}, or ask for less in the profile"
        return Finding(check, State.FAULT, f"quota of pool {pool}: {', '.join(short)}", advice)
    totals = ", ".join(
        f"{amount(resource, each * demand.num_pods)} of {amount(resource, quota[resource])} {resource}"
        for resource, each in demand.resources.items()
    )
    return Finding(check, State.OK, f"{demand.pods.queue} -> {name}, pool {pool}: {totals}")


def _quota_of_pool(cluster: Cluster, queue: Object, pool: str) -> dict[str, Decimal] | None:
    quota: dict[str, Decimal] = {}
    for group in queue["spec"].get("resourceGroups", ()):
        for flavour in group["flavors"]:
            found = cluster.get("ResourceFlavor", flavour["name"]) or {"spec": {}}
            if found.get("spec", {}).get("nodeLabels", {}).get(POOL, pool) == pool:
                for row in flavour["resources"]:
                    there = parse_quantity(row["nominalQuota"])
                    quota[row["name"]] = quota.get(row["name"], Decimal(0)) + there
    return quota or None


def examine_nodes(cluster: Cluster, demand: Demand) -> Iterator[Finding]:
    """Nodes of the pool, and how many of the pods they hold when nothing else runs."""
    check, pool = f"nodes of {demand.what}", demand.pods.node_pool
    nodes = cluster.list("Node", {POOL: pool}, namespace="*")
    if not nodes:
        yield _empty(check, pool)
        return
    usable = [node for node in nodes if _is_usable(node)]
    num_fitting = sum(_num_fitting(node["status"].get("allocatable", {}), demand) for node in usable)
    gpus = sum(int(node["status"].get("allocatable", {}).get("nvidia.com/gpu", 0)) for node in usable)
    text = f"pool {pool}: {len(usable)} of {len(nodes)} nodes ready, {gpus} GPUs"
    if num_fitting < demand.num_pods:
        each = ", ".join(f"{amount(name, value)} {name}" for name, value in demand.resources.items())
        advice = "add nodes to the pool, or ask for less in the profile"
        found = f"{text}; room for {num_fitting} of {demand.num_pods} pods with {each} each"
        yield Finding(check, State.FAULT, found, advice)
    else:
        yield Finding(check, State.OK, f"{text}; room for {demand.num_pods} of {demand.num_pods} pods")


def examine_pool(cluster: Cluster, check: str, pool: str) -> Iterator[Finding]:
    """A node that is ready: what the steps of a pipeline ask for fits any."""
    nodes = cluster.list("Node", {POOL: pool}, namespace="*")
    num_usable = sum(map(_is_usable, nodes))
    text = f"pool {pool}: {num_usable} of {len(nodes)} nodes ready"
    if not nodes:
        yield _empty(check, pool)
    elif not num_usable:
        yield Finding(check, State.FAULT, text, f"kubectl describe nodes -l {POOL}={pool}")
    else:
        yield Finding(check, State.OK, text)


def _empty(check: str, pool: str) -> Finding:
    advice = f"label nodes: kubectl label node NAME {POOL}={pool}"
    return Finding(check, State.FAULT, f"no node has label {POOL}={pool}", advice)


def _is_usable(node: Object) -> bool:
    conditions = node["status"].get("conditions", ())
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return ready and not node["spec"].get("unschedulable")


def _num_fitting(allocatable: dict[str, Any], demand: Demand) -> int:
    return min(
        int(parse_quantity(allocatable.get(name, "0")) // each) for name, each in demand.resources.items()
    )


def examine_images(cluster: Cluster, references: Mapping[str, str]) -> Iterator[Finding]:
    """Images that no registry serves (localhost/...) must lie on a node already; `references` by name."""
    nodes: Objects = cluster.list("Node", namespace="*")
    listed = [row for node in nodes for row in node["status"].get("images") or ()]
    known = {name for row in listed for name in row.get("names") or ()}
    cut = any(len(node["status"].get("images") or ()) >= MAX_IMAGES_OF_NODE for node in nodes)
    for name, reference in references.items():
        if reference in known:
            yield Finding(f"image {name}", State.OK, f"{reference}, on a node")
        elif not reference.startswith("localhost/"):
            yield Finding(f"image {name}", State.OK, f"{reference}, pulled when it is needed")
        elif cut:
            found = f"{reference} is not among those that nodes report"
            yield Finding(f"image {name}", State.UNSEEN, found, "look on a node: crictl images")
        else:
            advice = "`make images` and load them, or name those of your registry in images/refs.yaml"
            yield Finding(f"image {name}", State.FAULT, f"{reference} is on no node", advice)


def amount(resource: str, value: Decimal) -> str:
    """A quantity as people read it: memory in GiB."""
    return f"{float(value) / 2**30:g} GiB" if resource == "memory" else f"{float(value):g}"

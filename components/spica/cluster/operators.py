"""Whether the operators are there, and know what they were told by the guide of manifests/."""

from collections.abc import Iterator

import yaml

from spica.cluster.api import VERSIONS, Cluster, Object
from spica.cluster.capacity import examine_images
from spica.cluster.finding import Finding, State
from spica.cluster.network import NETWORKS
from spica.recipe.schema import Kubernetes

OPERATORS = {
    "PyTorchJob": ("pytorchjobs", "the Kubeflow training operator 1.9"),
    "LocalQueue": ("localqueues", "Kueue 0.12"),
    "ClusterQueue": ("clusterqueues", "Kueue 0.12"),
    "ServingRuntime": ("servingruntimes", "KServe 0.17"),
    "InferenceService": ("inferenceservices", "KServe 0.17"),
}
"""Kind -> name of its resource, who brings it."""
ENFORCE = "pod-security.kubernetes.io/enforce"
GUIDE = "manifests/README.md, Operators"
TRAINING_OPERATOR = ("training-operator", "kubeflow")
"""Deployment and namespace of its own manifests."""
INIT_TEMPLATE = "spica-pytorch-init"
"""ConfigMap of manifests/operators with the init container of workers."""
INIT_IMAGE = "--pytorch-init-container-image="
DEFAULT_INIT_IMAGE = "alpine:3.10"


def examine_operator(cluster: Cluster, kind: str) -> Iterator[Finding]:
    """The resource must be served in the version that Spica writes."""
    plural, operator = OPERATORS[kind]
    group, version = VERSIONS[kind].split("/")
    found = cluster.get("CustomResourceDefinition", f"{plural}.{group}")
    if found is None:
        yield Finding(kind, State.FAULT, "no such resource", f"install {operator} (manifests/README.md)")
        return
    served = [row["name"] for row in found["spec"]["versions"] if row["served"]]
    if version not in served:
        advice = f"install {operator} or a later one that serves {version}"
        yield Finding(
            kind, State.FAULT, f"served as {', '.join(served) or 'no version'}, needed as {version}", advice
        )
    else:
        yield Finding(kind, State.OK, f"{group}/{version}")


def examine_kueue(cluster: Cluster) -> Iterator[Finding]:
    """Model servers are Deployments, which Kueue 0.12 leaves alone unless it is told otherwise."""
    found = cluster.get("ConfigMap", "kueue-manager-config", "kueue-system") or {}
    settings = [yaml.safe_load(text) for text in (found.get("data") or {}).values()]
    on = {name for text in settings for name in (text.get("integrations") or {}).get("frameworks") or ()}
    if missing := [name for name in ("pod", "deployment") if settings and name not in on]:
        advice = f"add them to integrations.frameworks of its configuration ({GUIDE})"
        text = f"integrations off: {', '.join(missing)}; model servers would not wait for quota"
        yield Finding("Kueue", State.FAULT, text, advice)
    elif not settings:
        advice = "see that integrations.frameworks of its configuration has pod and deployment"
        yield Finding("Kueue", State.UNSEEN, "no ConfigMap kueue-system/kueue-manager-config", advice)
    elif not any((text.get("waitForPodsReady") or {}).get("enable") for text in settings):
        text = "waitForPodsReady is off: a gang whose pods do not come up keeps its quota"
        yield Finding("Kueue", State.UNSEEN, text, f"enable it where runs share GPUs ({GUIDE})")
    else:
        yield Finding("Kueue", State.OK, "jobs and model servers wait for quota, and give it back unused")


def examine_pod_security(cluster: Cluster, kubernetes: Kubernetes) -> Iterator[Finding]:
    """What the namespace refuses, of what the network of a training needs."""
    level, network = _level(cluster), kubernetes.training.network
    added = NETWORKS[network].capabilities
    if level is None:
        advice = "apply the manifests (manifests/README.md, Install)"
        yield Finding("Pod Security", State.FAULT, f"no namespace {cluster.namespace}", advice)
    elif added and level in ("restricted", "baseline"):
        advice = "apply manifests/overlays/gpu, which allows it and nothing else, or use `network: tcp`"
        text = f"{level} refuses capability {', '.join(added)} of network {network}"
        yield Finding("Pod Security", State.FAULT, text, advice)
    else:
        yield Finding("Pod Security", State.OK, level)


def examine_storage_initializer(cluster: Cluster, proxy: str | None) -> Iterator[Finding]:
    """What KServe adds to servers: its rights, and nothing that breaks the keys of the storage.

    KServe 0.17 unmarshals the merged container over the one with the keys: entries of `env` mix by place.
    """
    what, advice = "storage initializer", "patch it with manifests/operators/storage-initializer.patch.yaml"
    found = cluster.get("ClusterStorageContainer", "default") or {}
    container = found.get("spec", {}).get("container", {})
    if _is_restricted(cluster) and not container.get("securityContext"):
        text = "KServe's ClusterStorageContainer `default` has no securityContext: no server would start"
        yield Finding(what, State.FAULT, text, advice)
    elif container.get("env"):
        text = "ClusterStorageContainer `default` has `env`, which KServe mixes with the storage's keys"
        yield Finding(what, State.FAULT, text, "take `env` out of it")
    elif proxy:
        text = f"it goes around the proxy of Secret {proxy}: KServe gives it none"
        yield Finding(what, State.UNSEEN, text, f"see that servers reach the storage ({GUIDE})")
    else:
        yield Finding(what, State.OK, "it may run")


def examine_init_container(cluster: Cluster) -> Iterator[Finding]:
    """What the training operator adds to workers: its rights and its image."""
    what = "init container of workers"
    found = cluster.get("Deployment", *TRAINING_OPERATOR)
    if found is None:
        text = f"no Deployment {'/'.join(reversed(TRAINING_OPERATOR))}"
        yield Finding(what, State.UNSEEN, text, f"see that your operator has been told ({GUIDE})")
        return
    pod = found["spec"]["template"]["spec"]
    maps = {volume.get("configMap", {}).get("name") for volume in pod.get("volumes") or ()}
    if _is_restricted(cluster) and INIT_TEMPLATE not in maps:
        text = f"the operator does not mount ConfigMap {INIT_TEMPLATE}: restricted refuses its own"
        yield Finding(what, State.FAULT, text, f"tell it ({GUIDE})")
        return
    yield from examine_images(cluster, {f"of {what}": _init_image(pod)})


def _init_image(pod: Object) -> str:
    words = [word for container in pod["containers"] for word in container.get("args") or ()]
    told = [word.removeprefix(INIT_IMAGE) for word in words if word.startswith(INIT_IMAGE)]
    return str(told[-1]) if told else DEFAULT_INIT_IMAGE


def _is_restricted(cluster: Cluster) -> bool:
    """By Pod Security, or by the policy of overlays/gpu, which makes one exception from it."""
    labels = ((cluster.get("Namespace", cluster.namespace) or {}).get("metadata") or {}).get("labels") or {}
    return labels.get(ENFORCE) == "restricted" or labels.get("spica.dev/rdma") == "allowed"


def _level(cluster: Cluster) -> str | None:
    """Of Pod Security; None without a namespace."""
    found = cluster.get("Namespace", cluster.namespace)
    return None if found is None else str((found["metadata"].get("labels") or {}).get(ENFORCE, "not set"))

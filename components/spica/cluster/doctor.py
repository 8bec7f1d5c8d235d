"""`spica doctor --cluster`: what a profile needs of a cluster, looked at before anything is spent."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import yaml

from spica.cluster.api import VERSIONS, Cluster
from spica.cluster.capacity import Demand, demands, examine_images, examine_nodes, examine_queue
from spica.cluster.finding import Finding, State
from spica.cluster.network import NETWORKS
from spica.errors import PrerequisiteError, SpicaError
from spica.recipe.load import Resolved
from spica.recipe.schema import Kubernetes

Check = Callable[[], Iterator[Finding]]
Rights = Mapping[tuple[str, str], tuple[str, ...]]
RIGHTS: Rights = {
    ("kubeflow.org", "pytorchjobs"): ("create", "get", "list", "watch", "patch", "delete"),
    ("serving.kserve.io", "inferenceservices"): ("create", "get", "list", "watch", "patch", "delete"),
    ("kueue.x-k8s.io", "workloads"): ("get", "list", "watch"),
    ("", "pods"): ("get", "list", "watch"),
    ("", "events"): ("get", "list", "watch"),
    ("", "services"): ("get",),
    ("", "pods/log"): ("get",),
    ("", "podtemplates"): ("get",),
    ("coordination.k8s.io", "leases"): ("create", "get", "patch", "delete"),
}
"""What a run asks of the API: (group, resource) -> verbs; those of Role spica-pipeline in manifests/."""
OPERATORS = {
    "PyTorchJob": ("pytorchjobs", "the Kubeflow training operator 1.9"),
    "LocalQueue": ("localqueues", "Kueue 0.12"),
    "ClusterQueue": ("clusterqueues", "Kueue 0.12"),
    "ServingRuntime": ("servingruntimes", "KServe 0.17"),
    "InferenceService": ("inferenceservices", "KServe 0.17"),
}
STORAGE_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL_S3", "AWS_REGION")
PROXY_KEYS = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
S3_ENDPOINT = "serving.kserve.io/s3-endpoint"
KFP, STEPS = "kubeflow", "pipeline-runner"
"""Namespace and service account of the steps of a standalone KFP."""
ENFORCE = "pod-security.kubernetes.io/enforce"
PATIENCE_S = 10.0
INSTALL = "apply the manifests (manifests/README.md, Install)"
SECRETS = "make it (manifests/README.md, Secrets)"


def examine(resolved: Resolved) -> Iterator[Finding]:
    """Look at everything a profile with launcher kubernetes needs; faults do not end it.

    Raises:
        PrerequisiteError: no cluster is configured.
    """
    kubernetes = resolved.scale.kubernetes
    if kubernetes is None:
        name = f"{resolved.recipe.name}, profile {resolved.profile}"
        yield Finding(name, State.FAULT, "it runs without a cluster", "name a profile that has `kubernetes`")
        return
    cluster = Cluster.connect()
    cluster.patience_s = PATIENCE_S
    try:
        forbidden = _forbidden(cluster)
    except SpicaError as error:
        yield Finding("API server", State.FAULT, error.faults[0].found, error.faults[0].next)
        return
    yield Finding("API server", State.OK, f"it answers; namespace {cluster.namespace}")
    yield _rights("rights", forbidden, cluster.namespace)
    wanted = demands(resolved.scale, kubernetes)
    for name, check in _checks(cluster, kubernetes, resolved.recipe.models.teacher.api_key_env, wanted):
        yield from _careful(name, check)


def _checks(
    cluster: Cluster, kubernetes: Kubernetes, api_key_env: str | None, wanted: tuple[Demand, ...]
) -> Iterator[tuple[str, Check]]:
    for kind in OPERATORS:
        yield kind, partial(_operator, cluster, kind)
    yield "Kueue", partial(_kueue, cluster)
    for kind, name in _parts(kubernetes):
        yield f"{kind} {name}", partial(_part, cluster, kind, name)
    yield "reaper", partial(_reaper, cluster)
    yield "Pod Security", partial(_pod_security, cluster, kubernetes)
    for kind, name, keys in _secrets(kubernetes, api_key_env):
        yield f"{kind} {name}", partial(_secret, cluster, kind, name, keys)
    yield f"steps in {KFP}", partial(_standalone_kfp, cluster, kubernetes.secrets.storage)
    for demand in wanted:
        yield f"queue of {demand.what}", partial(examine_queue, cluster, demand)
        yield f"nodes of {demand.what}", partial(examine_nodes, cluster, demand)
    yield "images", partial(examine_images, cluster)


def _careful(name: str, check: Check) -> Iterator[Finding]:
    """A refusal to show something is no fault of the cluster, but must be said."""
    try:
        yield from check()
    except SpicaError as error:
        if getattr(error.__cause__, "status", None) == 403:
            advice = "run this again as somebody who may, such as the platform team"
            yield Finding(name, State.UNSEEN, "this account may not look", advice)
        else:
            yield Finding(name, State.FAULT, error.faults[0].found, error.faults[0].next)


def _forbidden(cluster: Cluster, account: str = "") -> list[str]:
    """What the caller, or a service account NAMESPACE:NAME, may not do in the namespace of the cluster."""
    kind = "LocalSubjectAccessReview" if account else "SelfSubjectAccessReview"
    subject = {"user": f"system:serviceaccount:{account}"} if account else {}
    metadata = {"name": ""} | ({"namespace": cluster.namespace} if account else {})
    found = []
    for (group, resource), verbs in RIGHTS.items():
        name, _, subresource = resource.partition("/")
        for verb in verbs:
            asked = {"namespace": cluster.namespace, "verb": verb, "group": group}
            attributes = asked | {"resource": name, "subresource": subresource}
            spec = subject | {"resourceAttributes": attributes}
            body = {"apiVersion": VERSIONS[kind], "kind": kind, "metadata": metadata, "spec": spec}
            if not cluster.create(body)["status"]["allowed"]:
                found.append(f"{verb} {resource}" + (f".{group}" if group else ""))
    return found


def _rights(who: str, forbidden: list[str], namespace: str) -> Finding:
    if forbidden:
        advice = f"bind Role spica-pipeline of namespace {namespace} to it (manifests/README.md)"
        return Finding(who, State.FAULT, f"forbidden: {', '.join(forbidden)}", advice)
    return Finding(who, State.OK, f"all {sum(map(len, RIGHTS.values()))} that a run needs")


def _standalone_kfp(cluster: Cluster, storage: str) -> Iterator[Finding]:
    """Steps of a KFP that runs all pipelines in its own namespace act in the team's."""
    if cluster.get("ServiceAccount", STEPS, KFP) is None:
        return
    account = f"{KFP}:{STEPS}"
    yield _rights(f"rights of {account}", _forbidden(cluster, account), cluster.namespace)
    yield from _secret(cluster, "Secret", storage, STORAGE_KEYS, KFP)


def _operator(cluster: Cluster, kind: str) -> Iterator[Finding]:
    plural, operator = OPERATORS[kind]
    group, version = VERSIONS[kind].split("/")
    found = cluster.get("CustomResourceDefinition", f"{plural}.{group}")
    if found is None:
        yield Finding(kind, State.FAULT, "no such resource", f"install {operator} (manifests/README.md)")
        return
    served = [row["name"] for row in found["spec"]["versions"] if row["served"]]
    if version not in served:
        advice = f"install {operator} or a later one that serves {version}"
        yield Finding(kind, State.FAULT, f"served as {', '.join(served)}, needed as {version}", advice)
    else:
        yield Finding(kind, State.OK, f"{group}/{version}")


def _kueue(cluster: Cluster) -> Iterator[Finding]:
    """Model servers are Deployments, which Kueue 0.12 leaves alone unless it is told otherwise."""
    found = cluster.get("ConfigMap", "kueue-manager-config", "kueue-system") or {}
    settings = [yaml.safe_load(text) for text in (found.get("data") or {}).values()]
    on = {name for text in settings for name in (text.get("integrations") or {}).get("frameworks") or ()}
    if missing := [name for name in ("pod", "deployment") if settings and name not in on]:
        advice = "add them to integrations.frameworks of its configuration (manifests/README.md, Operators)"
        text = f"integrations off: {', '.join(missing)}; model servers would not wait for quota"
        yield Finding("Kueue", State.FAULT, text, advice)
    elif settings:
        yield Finding("Kueue", State.OK, "jobs and model servers wait for quota")
    else:
        advice = "see that integrations.frameworks of its configuration has pod and deployment"
        yield Finding("Kueue", State.UNSEEN, "no ConfigMap kueue-system/kueue-manager-config", advice)


def _parts(kubernetes: Kubernetes) -> list[tuple[str, str]]:
    priorities = sorted({kubernetes.training.priority, kubernetes.serving.priority})
    return [
        ("ServiceAccount", "spica-train"),
        ("ServiceAccount", "spica-serve"),
        ("PodTemplate", "spica-train"),
        ("ServingRuntime", "spica-vllm"),
        *(("WorkloadPriorityClass", name) for name in priorities),
    ]


def _part(cluster: Cluster, kind: str, name: str) -> Iterator[Finding]:
    what = f"{kind} {name}"
    if cluster.get(kind, name) is None:
        yield Finding(what, State.FAULT, "missing", INSTALL)
    else:
        yield Finding(what, State.OK, "there")


def _reaper(cluster: Cluster) -> Iterator[Finding]:
    found = cluster.get("Deployment", "spica-reaper")
    if found is None:
        yield Finding("reaper", State.FAULT, "no Deployment spica-reaper", INSTALL)
    elif not (found.get("status") or {}).get("availableReplicas"):
        advice = f"kubectl describe pods -n {cluster.namespace} -l app.kubernetes.io/component=reaper"
        yield Finding("reaper", State.FAULT, "Deployment spica-reaper has no available pod", advice)
    else:
        yield Finding("reaper", State.OK, "it runs")


def _pod_security(cluster: Cluster, kubernetes: Kubernetes) -> Iterator[Finding]:
    found = cluster.get("Namespace", cluster.namespace)
    if found is None:
        yield Finding("Pod Security", State.FAULT, f"no namespace {cluster.namespace}", INSTALL)
        return
    level = found["metadata"].get("labels", {}).get(ENFORCE, "not set")
    network = kubernetes.training.network
    added = NETWORKS[network].capabilities
    if added and level in ("restricted", "baseline"):
        advice = "apply manifests/overlays/gpu, which allows it and nothing else, or use `network: tcp`"
        text = f"{level} refuses capability {', '.join(added)} of network {network}"
        yield Finding("Pod Security", State.FAULT, text, advice)
        return
    yield Finding("Pod Security", State.OK, level)
    container = (cluster.get("ClusterStorageContainer", "default") or {}).get("spec", {}).get("container", {})
    if level == "restricted" and not container.get("securityContext"):
        advice = "patch it with manifests/operators/storage-initializer.patch.yaml"
        text = "KServe's ClusterStorageContainer `default` has no securityContext: no server would start"
        yield Finding("storage initializer", State.FAULT, text, advice)


def _secrets(kubernetes: Kubernetes, api_key_env: str | None) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    names = kubernetes.secrets
    yield "Secret", names.storage, STORAGE_KEYS
    if names.teacher and api_key_env:
        yield "Secret", names.teacher, (api_key_env,)
    if names.proxy:
        yield "Secret", names.proxy, PROXY_KEYS
    if names.ca_bundle:
        yield "ConfigMap", names.ca_bundle, ("ca.crt",)


def _secret(
    cluster: Cluster, kind: str, name: str, keys: tuple[str, ...], namespace: str | None = None
) -> Iterator[Finding]:
    """Names of keys and whether they hold something; a value is never looked at."""
    what = f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"
    found: dict[str, Any] | None = cluster.get(kind, name, namespace)
    if found is None:
        yield Finding(what, State.FAULT, "missing", SECRETS)
        return
    missing = [key for key in keys if not (found.get("data") or {}).get(key)]
    if missing:
        yield Finding(what, State.FAULT, f"without {', '.join(missing)}", SECRETS)
    elif (
        keys == STORAGE_KEYS
        and not namespace
        and not found["metadata"].get("annotations", {}).get(S3_ENDPOINT)
    ):
        advice = "annotate it (manifests/README.md, Secrets): KServe fetches weights from there"
        yield Finding(what, State.FAULT, f"without annotation {S3_ENDPOINT}", advice)
    else:
        yield Finding(what, State.OK, ", ".join(keys))


def examine_store(uri: str) -> Iterator[Finding]:
    """A write, a conditional write, a read and a delete, from this machine with its AWS environment."""
    from spica.cluster.storage_probe import probe

    if not uri.startswith("s3://"):
        yield Finding(f"store {uri}", State.OK, "a folder; nothing to try")
        return
    try:
        yield Finding(f"store {uri}", State.OK, probe(uri))
    except PrerequisiteError as error:
        yield Finding(f"store {uri}", State.FAULT, error.faults[0].found, error.faults[0].next)

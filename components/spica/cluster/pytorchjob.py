"""The PyTorchJob of a training, as a pure dict.

Sources: API reference of training-operator v1.9 (kubeflow.org/v1); Kueue's documentation, "Run PyTorchJobs".
"""

from typing import Any

from spica.cluster.network import NETWORKS, Network
from spica.cluster.order import DIGEST, Order, digest_of, label_value, object_name
from spica.cluster.owner import owner_annotation
from spica.cluster.pool import POOL
from spica.recipe.schema import Kubernetes

Object = dict[str, Any]
CONTAINER = "pytorch"
"""The training operator finds the container by this name."""
STATE = "/work"
TTL_S = 86_400
"""A finished job and its logs stay for a day; its results lie in the store."""
SERVICE_ACCOUNT = "spica-train"


def pytorchjob(
    order: Order, kubernetes: Kubernetes, image: str, run: str, owner: str, template: Object
) -> Object:
    """Render the job.

    Args:
        order: what is trained, on how many nodes.
        kubernetes: pods, queue and secrets of the profile.
        image: reference of the image `train`.
        run: run id, a label.
        owner: what must live for the job to live, see `spica.cluster.owner`.
        template: what the platform team adds to every training pod: template of the PodTemplate spica-train.
    """
    training = kubernetes.training
    labels = {
        "app.kubernetes.io/part-of": "spica",
        "app.kubernetes.io/component": "training",
        "spica.dev/task": label_value(order.task),
        "spica.dev/key": order.key[:16],
    }
    name = object_name(order.task, order.key)
    pod = merge(template, _pod(name, order, kubernetes, image, labels))
    replica = {"replicas": 1, "restartPolicy": "ExitCode", "template": pod}
    replicas = {"Master": replica}
    if order.num_nodes > 1:
        replicas["Worker"] = replica | {"replicas": order.num_nodes - 1}
    spec = {
        "nprocPerNode": str(order.ranks_per_node),
        "runPolicy": {
            "activeDeadlineSeconds": training.deadline_s,
            "backoffLimit": training.max_crashes,
            "cleanPodPolicy": "Running",
            "ttlSecondsAfterFinished": TTL_S,
        },
        "pytorchReplicaSpecs": replicas,
    }
    queue = {
        "kueue.x-k8s.io/queue-name": training.queue,
        "kueue.x-k8s.io/priority-class": training.priority,
        "spica.dev/run": label_value(run),
    }
    annotations = {DIGEST: digest_of(spec), **owner_annotation(owner)}
    metadata = {"name": name, "labels": labels | queue, "annotations": annotations}
    return {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "metadata": metadata, "spec": spec}


def _pod(name: str, order: Order, kubernetes: Kubernetes, image: str, labels: dict[str, str]) -> Object:
    training, network = kubernetes.training, NETWORKS[kubernetes.training.network]
    spec: Object = {
        "serviceAccountName": SERVICE_ACCOUNT,
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": training.grace_s,
        "nodeSelector": {POOL: training.node_pool},
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "fsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(order, kubernetes, image, network)],
        "volumes": [
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": f"{training.shm_gib}Gi"}},
            {"name": "work", "emptyDir": {}},
            {"name": "tmp", "emptyDir": {}},
        ],
    }
    if kubernetes.secrets.ca_bundle:
        spec["volumes"].append({"name": "ca", "configMap": {"name": kubernetes.secrets.ca_bundle}})
    if training.gpus:
        spec["tolerations"] = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    if order.num_nodes > 1:
        spec["affinity"] = _together(name)
    return {"metadata": {"labels": labels}, "spec": spec}


def _container(order: Order, kubernetes: Kubernetes, image: str, network: Network) -> Object:
    training, secrets = kubernetes.training, kubernetes.secrets
    limits = {
        "memory": f"{training.memory_gib}Gi",
        **({"nvidia.com/gpu": str(training.gpus)} if training.gpus else {}),
        **network.resources,
    }
    mounts: list[Object] = [
        {"name": "shm", "mountPath": "/dev/shm"},
        {"name": "work", "mountPath": STATE},
        {"name": "tmp", "mountPath": "/tmp"},
    ]
    env = {"SPICA_STATE": STATE, "HOME": STATE, **network.env}
    if secrets.ca_bundle:
        mounts.append({"name": "ca", "mountPath": "/etc/spica/ca", "readOnly": True})
        env |= {"AWS_CA_BUNDLE": "/etc/spica/ca/ca.crt", "SSL_CERT_FILE": "/etc/spica/ca/ca.crt"}
    named = [secrets.storage, *([secrets.proxy] if secrets.proxy else [])]
    capabilities: Object = {"drop": ["ALL"]}
    if network.capabilities:
        capabilities["add"] = list(network.capabilities)
    return {
        "name": CONTAINER,
        "image": image,
        # Said, because the API server writes defaults into the PodTemplate that is merged in.
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-m", "spica.cluster.agent"],
        # The kubelet replaces $(NAME) and $$ in arguments: nothing of the kind may reach it.
        "args": [order.model_dump_json().replace("$", r"\u0024")],
        "env": [{"name": key, "value": value} for key, value in env.items()],
        "envFrom": [{"secretRef": {"name": name}} for name in named],
        "resources": {"requests": {"cpu": str(training.cpus), **limits}, "limits": limits},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": capabilities,
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": mounts,
    }


def _together(name: str) -> Object:
    """Pods of one job near each other: a hop between racks slows every all-reduce."""
    term = {
        "labelSelector": {"matchLabels": {"training.kubeflow.org/job-name": name}},
        "topologyKey": "topology.kubernetes.io/zone",
    }
    preferred = [{"weight": 100, "podAffinityTerm": term}]
    return {"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}


def merge(theirs: Any, ours: Any) -> Any:
    """Add `theirs` to `ours`: objects key by key, mounts by path, named items by name; ours wins."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        joined = {key: merge(theirs[key], ours[key]) for key in theirs.keys() & ours.keys()}
        return {**theirs, **ours, **joined}
    if isinstance(theirs, list) and isinstance(ours, list):
        names = [_name(item) for item in ours]
        merged = list(ours)
        for item in theirs:
            name = _name(item)
            if name is not None and name in names:
                merged[names.index(name)] = merge(item, ours[names.index(name)])
            elif item not in ours:
                merged.append(item)
        return merged
    return ours


def _name(item: Any) -> Any:
    """What tells an item of a list from the others; one volume may be mounted twice."""
    return item.get("mountPath", item.get("name")) if isinstance(item, dict) else None

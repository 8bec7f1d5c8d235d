"""The InferenceService of a model server, as a pure dict.

Sources: KServe 0.17, API reference (serving.kserve.io/v1beta1) and its controller's code: it makes the
Deployment and the Service NAME-predictor, both with the labels and annotations given here, merges the pod
from the ServingRuntime and this object, and runs Go templates over the container.
"""

import math
from typing import Any

from spica.artifacts.manifest import Manifest, canonical_json, sha256_of
from spica.cluster.model_pod import FILES, PORT
from spica.cluster.order import DIGEST, digest_of, label_value, object_name
from spica.cluster.owner import owner_annotation
from spica.cluster.pool import POOL
from spica.launch.contract import ModelServer
from spica.recipe.schema import Kubernetes, ServerPods

Object = dict[str, Any]
CONTAINER = "kserve-container"
"""KServe finds the container by this name."""
RUNTIME = "spica-vllm"
"""ServingRuntime of the namespace; its container runs `spica.cluster.model_pod`."""
MODEL_FORMAT = "spica-checkpoint"
STORAGE_SECRET = "serving.kserve.io/storageSecretName"
"""Annotation: the Secret by which KServe fetches the weights."""
SERVICE_ACCOUNT = "spica-serve"
GRACE_S = 10
"""A server keeps nothing, so it need not be waited for."""
STARTUP_PERIOD_S = 2
UNLIMITED_CPUS = "1000"
"""More than any node has: where nothing is said, KServe's webhook limits a server to 1 CPU."""
_MAX_WORDS = 30


def inference_service(server: ModelServer, kubernetes: Kubernetes, run: str, owner: str) -> Object:
    """Render the object.

    Each of `scale.num_servers` servers is a pod of its own, so that none of them is data-parallel inside.

    Args:
        server: which checkpoint is served, how large; it lies in S3.
        kubernetes: pods, queue and secrets of the profile.
        run: run id, a label.
        owner: what must live for the server to live, see `spica.cluster.owner`; two never share a server,
            because another annotation would start its pods anew: KServe copies it to them.
    """
    checkpoint, pods = server.checkpoint.manifest, kubernetes.serving
    spec: Object = {
        "predictor": {
            "minReplicas": server.scale.num_servers,
            "maxReplicas": server.scale.num_servers,
            # A rolling update would ask for the GPUs twice.
            "deploymentStrategy": {"type": "Recreate"},
            "model": _model(server, pods),
            **_pod(pods),
        }
    }
    labels = {
        "app.kubernetes.io/part-of": "spica",
        "app.kubernetes.io/component": "serving",
        "spica.dev/run": label_value(run),
        # Those of the checkpoint that is served.
        "spica.dev/task": label_value(checkpoint.task),
        "spica.dev/key": checkpoint.key[:16],
        # Counts where Kueue's integrations "pod" and "deployment" are on, and means nothing elsewhere.
        "kueue.x-k8s.io/queue-name": pods.queue,
        "kueue.x-k8s.io/priority-class": pods.priority,
        # No way in from outside of the cluster.
        "networking.kserve.io/visibility": "cluster-local",
    }
    annotations = {
        "serving.kserve.io/deploymentMode": "Standard",
        "serving.kserve.io/autoscalerClass": "none",
        STORAGE_SECRET: kubernetes.secrets.storage,
        DIGEST: digest_of(spec),
        **owner_annotation(owner),
    }
    metadata = {"name": server_name(server, owner), "labels": labels, "annotations": annotations}
    kind = {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService"}
    return {**kind, "metadata": metadata, "spec": spec}


def server_name(server: ModelServer, owner: str) -> str:
    """Name of the object: equal model, checkpoint and owner, equal name.

    KServe derives the label value isvc.NAME-predictor, so 48 characters are left, and wants a letter first.
    """
    key = sha256_of(canonical_json([server.name, server.checkpoint.manifest.digest, owner]))
    return object_name(f"model-{server.name[:_MAX_WORDS]}", key)


def files_json(checkpoint: Manifest) -> str:
    """What the pod must find in /mnt/models: the manifest's files, as JSON.

    File names come from checkpoints: none may reach KServe's templates or the kubelet's $(VARIABLE) as such.
    """
    text = canonical_json([entry.model_dump() for entry in checkpoint.files]).decode()
    return text.replace("{{", r"{\u007b").replace("$", r"\u0024")


def _model(server: ModelServer, pods: ServerPods) -> Object:
    """The part of the container that differs from server to server, and where its weights lie."""
    scale = server.scale.model_copy(update={"num_servers": 1})
    requests = {"cpu": str(pods.cpus), "memory": f"{pods.memory_gib}Gi"}
    if pods.gpus:
        requests["nvidia.com/gpu"] = str(pods.gpus)
    env = {FILES: files_json(server.checkpoint.manifest), "HOME": "/tmp"}
    return {
        "modelFormat": {"name": MODEL_FORMAT},
        "runtime": RUNTIME,
        "storageUri": server.checkpoint.uri,
        "args": ["--name", server.name, "--scale", scale.model_dump_json()],
        "env": [{"name": name, "value": value} for name, value in env.items()],
        "resources": {"requests": requests, "limits": requests | {"cpu": UNLIMITED_CPUS}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        # Verifying and loading 70 billion parameters takes minutes; nothing listens before.
        "startupProbe": _probe(STARTUP_PERIOD_S, math.ceil(pods.ready_timeout_s / STARTUP_PERIOD_S)),
        "readinessProbe": _probe(5, 3),
        # vLLM ends by itself when its engine dies: this is for one that hangs.
        "livenessProbe": _probe(10, 12),
        "volumeMounts": [{"name": "shm", "mountPath": "/dev/shm"}, {"name": "tmp", "mountPath": "/tmp"}],
    }


def _probe(period_s: int, failures: int) -> Object:
    get = {"path": "/health", "port": PORT}
    return {"httpGet": get, "periodSeconds": period_s, "failureThreshold": failures, "timeoutSeconds": 10}


def _pod(pods: ServerPods) -> Object:
    """Where the pod runs, and as whom: Pod Security "restricted"."""
    pod: Object = {
        "serviceAccountName": SERVICE_ACCOUNT,
        "automountServiceAccountToken": False,
        # A Service named vllm would give vLLM a VLLM_PORT that is none.
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_S,
        "nodeSelector": {POOL: pods.node_pool},
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "fsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumes": [
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": f"{pods.shm_gib}Gi"}},
            {"name": "tmp", "emptyDir": {}},
        ],
    }
    if pods.gpus:
        pod["tolerations"] = [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    return pod

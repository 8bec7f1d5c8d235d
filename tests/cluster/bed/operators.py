"""The operators, each from its module's own manifests; image, node and what one machine needs are patched."""

import base64
import hashlib
import json
from pathlib import Path

from bed import images
from bed.layout import CACHE, PATCHES, STATE
from bed.objects import apply, fill, kubectl, manifest, namespace
from bed.programs import source

NUM_GPU_NODES = 8
NUM_GPUS_PER_NODE = 8
# Name of the module: folders of its kustomizations.
OVERLAYS = {
    "kwok": ("kustomize/kwok",),
    "training-operator": ("manifests/overlays/standalone",),
    "kueue": ("config/default",),
    "kserve": ("config/overlays/standalone/kserve",),
    "argo": ("manifests/cluster-install",),
}
PROGRAM = {"argo": "workflow-controller"}
KSERVE_WEBHOOKS = (
    *(
        ("ValidatingWebhookConfiguration", name)
        for name in (
            "clusterservingruntime",
            "inferencegraph",
            "inferenceservice",
            "servingruntime",
            "trainedmodel",
        )
    ),
    ("MutatingWebhookConfiguration", "inferenceservice"),
)


def up() -> None:
    """Apply every operator but Kueue; whether they are ready is for the caller to wait for."""
    apply(_rendered("kwok"))
    apply(kubectl("kustomize", source("kwok") / "kustomize" / "stage" / "fast"))
    apply(manifest("simulated-pods"))
    apply("\n---\n".join(_gpu_node(index) for index in range(NUM_GPU_NODES)))
    apply(namespace("kubeflow"))
    apply(manifest("training-operator"))
    apply(_rendered("training-operator"))
    apply(manifest("minio"))
    _kserve()
    apply(namespace("argo"))
    apply(_rendered("argo"))


def queues() -> None:
    """Apply Kueue: when all others run, as its webhooks refuse everybody's pods until it is ready itself."""
    apply(_rendered("kueue"))


def _kserve() -> None:
    apply(namespace("kserve"))
    tls = {
        name: _base64(STATE / "pki" / f"kserve-webhook.{end}")
        for name, end in (("tls.crt", "crt"), ("tls.key", "key"))
    }
    metadata = {"name": "kserve-webhook-server-cert", "namespace": "kserve"}
    apply(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "type": "kubernetes.io/tls",
                "metadata": metadata,
                "data": tls,
            }
        )
    )
    # Until the CRDs are established, its controller exits and its ClusterStorageContainer is refused.
    documents = _rendered("kserve").split("\n---\n")
    definitions = [text for text in documents if "\nkind: CustomResourceDefinition\n" in text]
    apply("\n---\n".join(definitions))
    kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    apply("\n---\n".join(text for text in documents if text not in definitions))


def _rendered(name: str) -> str:
    """The operator's objects; kustomize takes seconds, so the text is kept under its input's digest."""
    folder = source(name) / "spica"
    text = _kustomization(name)
    key = hashlib.sha256(text.encode()).hexdigest()[:12]
    cached = CACHE / "rendered" / f"{name}-{key}.yaml"
    if not cached.exists():
        folder.mkdir(exist_ok=True)  # beside the upstream manifests: kustomize refuses absolute paths
        (folder / "kustomization.yaml").write_text(text)
        rendered = kubectl("kustomize", folder)
        cached.parent.mkdir(parents=True, exist_ok=True)
        cached.write_text(rendered)
    return cached.read_text()


def _kustomization(name: str) -> str:
    image = images.tag(PROGRAM.get(name, name))
    resources = "".join(f"- ../{folder}\n" for folder in OVERLAYS[name])
    own = fill((PATCHES / f"{name}.yaml").read_text())
    digest = hashlib.sha256(own.encode()).hexdigest()[:12]  # a changed ConfigMap alone would restart no pod
    patches = f"""- target: {{kind: Deployment}}
  patch: |
    - {{op: add, path: /spec/template/spec/containers/0/image, value: "{image}"}}
    - {{op: add, path: /spec/template/spec/containers/0/imagePullPolicy, value: Never}}
    - {{op: add, path: /spec/template/spec/nodeSelector, value: {{spica.dev/pool: cpu}}}}
- target: {{kind: Deployment}}
  patch: |
    apiVersion: apps/v1
    kind: Deployment
    metadata: {{name: any}}
    spec: {{template: {{metadata: {{annotations: {{spica.dev/patches: "{digest}"}}}}}}}}
{own}"""
    if name == "kserve":
        patches += "".join(_ca_patch(kind, hook) for kind, hook in KSERVE_WEBHOOKS)
    return f"resources:\n{resources}patches:\n{patches}"


def _ca_patch(kind: str, name: str) -> str:
    """The webhooks of one configuration trust the cluster's authority, as cert-manager would have it."""
    value = _base64(STATE / "pki" / "ca.crt")
    num_hooks = 2 if kind.startswith("Mutating") else 1
    lines = (
        f"    - {{op: add, path: /webhooks/{index}/clientConfig/caBundle, value: {value}}}\n"
        for index in range(num_hooks)
    )
    return f"- target: {{kind: {kind}, name: {name}.serving.kserve.io}}\n  patch: |\n{''.join(lines)}"


def _gpu_node(index: int) -> str:
    """A node that only KWOK manages: eight H100 by their labels, none in truth."""
    resources = {
        "cpu": "192",
        "memory": "2000Gi",
        "ephemeral-storage": "4Ti",
        "pods": "110",
        "nvidia.com/gpu": str(NUM_GPUS_PER_NODE),
        "rdma/hca": str(NUM_GPUS_PER_NODE),
    }
    labels = {
        "kubernetes.io/hostname": f"gpu-{index}",
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "node.kubernetes.io/instance-type": "h100-8x",
        "spica.dev/pool": "h100-8x",
        "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3",
        "nvidia.com/gpu.count": str(NUM_GPUS_PER_NODE),
        "topology.kubernetes.io/zone": "zone-0",
        "spica.dev/rack": f"rack-{index // 4}",
    }
    metadata = {"name": f"gpu-{index}", "labels": labels, "annotations": {"kwok.x-k8s.io/node": "fake"}}
    taint = {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": metadata,
            "spec": {"taints": [taint]},
            "status": {"capacity": resources, "allocatable": resources},
        }
    )


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()

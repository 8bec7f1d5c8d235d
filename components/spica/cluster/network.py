"""How ranks of different pods talk: presets by name.

Sources: NVIDIA's NCCL User Guide, section Environment Variables; rdma/hca is the resource of Mellanox'
k8s-rdma-shared-dev-plugin. Presets for GPUs are rendered and admitted by an API server, never run so far.
"""

from typing import NamedTuple


class Network(NamedTuple):
    """What a preset adds to every pod of a job."""

    env: dict[str, str]
    resources: dict[str, str]
    capabilities: tuple[str, ...]
    """Beyond Pod Security "restricted": the namespace must allow them (manifests/overlays/gpu)."""


NETWORKS = {
    "tcp": Network(
        {"NCCL_SOCKET_IFNAME": "eth0", "GLOO_SOCKET_IFNAME": "eth0", "NCCL_IB_DISABLE": "1"}, {}, ()
    ),
    "roce": Network(
        {"NCCL_SOCKET_IFNAME": "eth0", "NCCL_IB_HCA": "mlx5", "NCCL_IB_GID_INDEX": "3"},
        {"rdma/hca": "1"},
        ("IPC_LOCK",),
    ),
    "infiniband": Network(
        {"NCCL_SOCKET_IFNAME": "eth0", "NCCL_IB_HCA": "mlx5"}, {"rdma/hca": "1"}, ("IPC_LOCK",)
    ),
}
"""Value of kubernetes.training.network -> preset."""

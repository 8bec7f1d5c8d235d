"""Where the cluster lives: its folders, its network, its ports.

Everything runs in a network namespace of its own, so nothing listens on an address of the machine, and the
machine's firewall and sysctls stay as they are. One link joins the two: the machine is HOST_IP on it, the API
server NODE_IP.
"""

import os
import sys
from pathlib import Path

CACHE = Path(os.environ.get("SPICA_CACHE") or Path.home() / ".cache" / "spica").resolve()
STATE = CACHE / "cluster"
KUBECONFIG = STATE / "admin.conf"
HERE = Path(__file__).resolve().parent
MANIFESTS = HERE.parent / "manifests"
PATCHES = HERE.parent / "patches"
PODS = HERE.parent / "pods"

NETNS = "spica"
LINK = "spica0"
NODE = "node0"
HOST_IP = "10.241.0.2"
NODE_IP = "10.241.0.1"
POD_CIDR = "10.241.0.0/16"
FIRST_POD_IP = "10.241.1.1"
SERVICE_CIDR = "10.242.0.0/24"
SIMULATED_POD_CIDR = "10.243.0.0/16"
KUBERNETES_IP = "10.242.0.1"
# Fixed addresses are among the first 16, which the API server gives to nobody by itself.
DNS_IP = "10.242.0.10"
MINIO_IP = "10.242.0.11"
KFP_IP = "10.242.0.12"
API_PORT = 6443
KUBELET_PORT = 10250
DATABASE_PORT = 3306

CONTAINERD_SOCKET = STATE / "containerd.sock"


def note(text: str) -> None:
    """Say what was just done, on stderr: stdout is for what a script asks (`base`, `env`)."""
    print(f"cluster: {text}", file=sys.stderr, flush=True)

"""The one real node: containerd, the kubelet and kube-proxy."""

import json
import subprocess
from pathlib import Path

from bed import images
from bed.layout import CONTAINERD_SOCKET, DNS_IP, KUBECONFIG, KUBELET_PORT, NODE, NODE_IP, POD_CIDR, STATE
from bed.processes import answers, start, wait_until
from bed.programs import binary

CTR = ("ctr", "--address", str(CONTAINERD_SOCKET), "--namespace", "k8s.io")
# For any machine: cgroup v1, swap, sysctls that cannot be written.
KUBELET = {
    "apiVersion": "kubelet.config.k8s.io/v1beta1",
    "kind": "KubeletConfiguration",
    "address": NODE_IP,
    "port": KUBELET_PORT,
    "healthzPort": 0,
    "tlsCertFile": f"{STATE}/pki/kubelet.crt",
    "tlsPrivateKeyFile": f"{STATE}/pki/kubelet.key",
    "authentication": {
        "anonymous": {"enabled": False},
        "webhook": {"enabled": True},
        "x509": {"clientCAFile": f"{STATE}/pki/ca.crt"},
    },
    "authorization": {"mode": "Webhook"},
    "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
    "cgroupDriver": "cgroupfs",
    "cgroupsPerQOS": False,
    "enforceNodeAllocatable": [],
    "failCgroupV1": False,
    "failSwapOn": False,
    "localStorageCapacityIsolation": False,
    "featureGates": {"KubeletInUserNamespace": True},  # goes on when a sysctl cannot be written
    "clusterDomain": "cluster.local",
    "clusterDNS": [DNS_IP],
    "resolvConf": f"{STATE}/resolv.conf",
    "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
    "imageGCHighThresholdPercent": 100,  # images come from no registry: a collected one would be gone
    "maxPods": 250,
    "syncFrequency": "1s",  # secrets that operators rotate reach their pods sooner
    "volumePluginDir": f"{STATE}/volume-plugins",
    "podLogsDir": f"{STATE}/pod-logs",  # the usual /var/log/pods is swept by any other kubelet of the machine
}
CONTAINERD = f"""version = 2
root = "{STATE}/containerd"
state = "{STATE}/containerd-state"
[grpc]
  address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{images.PAUSE}"
  # Mounts of the pods' network namespaces under STATE: whoever ends the cluster finds them there.
  netns_mounts_under_state_dir = true
  restrict_oom_score_adj = true
  disable_hugetlb_controller = true
  tolerate_missing_hugetlb_controller = true
  disable_apparmor = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{STATE}/cni"
"""


def start_containerd() -> None:
    """Start the container runtime, without the containers of an earlier cluster."""
    (STATE / "containerd.toml").write_text(CONTAINERD)
    start("containerd", "containerd", "--config", STATE / "containerd.toml")
    wait_until("containerd", lambda: answers(*CTR, "version"), log="containerd")
    if not (STATE / "kubelet").exists():
        remove_containers()


def remove_containers() -> None:
    """Remove the containers whose processes have ended."""
    listed = subprocess.run([*CTR, "containers", "ls", "-q"], check=True, stdout=subprocess.PIPE, text=True)
    if ids := listed.stdout.split():
        # One that is being removed by its runtime at this moment is no fault.
        subprocess.run([*CTR, "containers", "rm", *ids], capture_output=True)


def remove_cgroups() -> None:
    """Remove what the containers, ended by now, leave below /sys/fs/cgroup."""
    for container in (STATE / "containerd-state" / "io.containerd.runtime.v2.task" / "k8s.io").glob("*"):
        for hierarchy in ("", "*/"):  # cgroup v2 has one, v1 one for each controller
            for folder in Path("/sys/fs/cgroup").glob(f"{hierarchy}k8s.io/{container.name}"):
                folder.rmdir()


def up() -> None:
    """Start the kubelet and kube-proxy and wait until the node is Ready."""
    (STATE / "kubelet.yaml").write_text(json.dumps(KUBELET, indent=1))
    (STATE / "resolv.conf").write_text("")  # pods have no way out, so no resolver above the cluster's own
    start(
        *(
            "kubelet",
            binary("kubelet"),
            f"--config={STATE}/kubelet.yaml",
            f"--kubeconfig={STATE}/kubelet.conf",
        ),
        *(f"--root-dir={STATE}/kubelet", f"--hostname-override={NODE}", f"--node-ip={NODE_IP}"),
        "--node-labels=spica.dev/pool=cpu",
    )
    conntrack = ("max-per-core", "min", "tcp-timeout-established", "tcp-timeout-close-wait")
    start(
        *("proxy", binary("kube-proxy"), f"--kubeconfig={STATE}/proxy.conf", f"--hostname-override={NODE}"),
        *("--proxy-mode=iptables", f"--cluster-cidr={POD_CIDR}"),
        *(f"--conntrack-{name}=0" for name in conntrack),  # 0 leaves the machine's sysctls alone
        *("--healthz-bind-address=127.0.0.1:10256", "--metrics-bind-address=127.0.0.1:10249"),
        "--nodeport-addresses=127.0.0.0/8",
    )
    wait = ("wait", "--for=condition=Ready", "--timeout=1s", f"node/{NODE}")
    kubectl = (binary("kubectl"), "--kubeconfig", KUBECONFIG)
    wait_until(f"node {NODE}", lambda: answers(*kubectl, *wait), log="kubelet")

"""The cluster's network namespace, its bridge for pods, and the link by which this machine reaches both."""

import os
import signal
import subprocess
import time
from pathlib import Path

from bed.layout import FIRST_POD_IP, HOST_IP, LINK, NETNS, NODE_IP, POD_CIDR, SERVICE_CIDR, STATE
from bed.processes import answers, inside, send
from spica.errors import Fault, PrerequisiteError, StageError

BRIDGE = "pods"
PREFIX_LENGTH = POD_CIDR.split("/")[1]
NAMESPACE_FILE = Path("/run/netns") / NETNS


def up() -> None:
    """Make the namespace, the bridge and the link; what is there already stays.

    Raises:
        PrerequisiteError: the kernel has no bridge, or another network of the machine uses the addresses.
    """
    if not NAMESPACE_FILE.exists():
        _refuse_taken_addresses()
        _ip("netns", "add", NETNS)
    if not answers(*inside("ip", "link", "show", BRIDGE)):
        _make_bridge()
    if not answers("ip", "link", "show", LINK):
        _ip("link", "add", LINK, "type", "veth", "peer", "name", "machine", "netns", NETNS)
        _ip("link", "set", "machine", "master", BRIDGE, "up", cluster=True)
        _ip("addr", "add", f"{HOST_IP}/{PREFIX_LENGTH}", "dev", LINK)
        _ip("link", "set", LINK, "up")
        _ip("route", "add", SERVICE_CIDR, "via", NODE_IP)
    # The second one lets a pod reach a pod on the same bridge by way of a Service's address.
    for setting in ("net.ipv4.ip_forward=1", "net.bridge.bridge-nf-call-iptables=1"):
        subprocess.run(inside("sysctl", "-qw", setting), check=True)
    _write_pod_network()


def down() -> None:
    """End every process of the cluster's namespaces, then take down mounts, namespaces and link."""
    limit = time.monotonic() + 30
    while left := pids():
        for number in left:
            send(number, signal.SIGKILL)
        if time.monotonic() > limit:
            found = f"still alive: {sorted(left)}"
            raise StageError(Fault("cluster processes", found, "all ended by SIGKILL", "make cluster-down"))
        time.sleep(0.1)
    for mount in reversed(_mounts()):
        subprocess.run(["umount", "--lazy", mount], check=True)
    for cached in Path("/var/lib/cni/results").glob("*"):
        if str(STATE) in cached.read_text():
            cached.unlink()
    if answers("ip", "link", "show", LINK):
        _ip("link", "del", LINK)
    if NAMESPACE_FILE.exists():
        _ip("netns", "del", NETNS)


def _ip(*arguments: str, cluster: bool = False) -> None:
    command = ["ip", *arguments]
    subprocess.run(inside(*command) if cluster else command, check=True)


def _refuse_taken_addresses() -> None:
    for network in (POD_CIDR, SERVICE_CIDR):
        routes = subprocess.run(
            ["ip", "route", "show", "root", network], capture_output=True, text=True
        ).stdout
        if routes.strip():
            allowed = f"no route to {network}"
            raise PrerequisiteError(
                Fault("network", routes.strip(), allowed, "disconnect that network (a VPN?)")
            )


def _make_bridge() -> None:
    done = subprocess.run(
        inside("ip", "link", "add", BRIDGE, "type", "bridge"), capture_output=True, text=True
    )
    if done.returncode:
        found = done.stderr.strip()
        raise PrerequisiteError(
            Fault("network bridge", found, "a kernel with bridge", "modprobe bridge br_netfilter")
        )
    _ip("addr", "add", f"{NODE_IP}/{PREFIX_LENGTH}", "dev", BRIDGE, cluster=True)
    for device in (BRIDGE, "lo"):
        _ip("link", "set", device, "up", cluster=True)


def _write_pod_network() -> None:
    folder = STATE / "cni"
    folder.mkdir(parents=True, exist_ok=True)
    # No masquerading and no default route in the namespace: pods have no way out of the cluster.
    (folder / "10-spica.conflist").write_text(
        f"""{{"cniVersion": "0.4.0", "name": "spica", "plugins": [
  {{"type": "bridge", "bridge": "{BRIDGE}", "isGateway": true, "ipMasq": false, "hairpinMode": true,
    "ipam": {{"type": "host-local", "dataDir": "{STATE}/addresses", "routes": [{{"dst": "0.0.0.0/0"}}],
             "ranges": [[{{"subnet": "{POD_CIDR}", "rangeStart": "{FIRST_POD_IP}"}}]]}}}},
  {{"type": "portmap", "capabilities": {{"portMappings": true}}}}]}}
"""
    )


def _mounts() -> list[str]:
    """What is mounted below STATE, in that order: volumes, overlays, network namespaces of pods."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [point for line in lines if (point := line.split()[1]).startswith(f"{STATE}/")]


def pids() -> set[int]:
    """The processes in the cluster's own namespace and in those of its pods, whoever their parent is."""
    namespaces = {os.stat(file).st_ino for file in (str(NAMESPACE_FILE), *_mounts()) if _is_namespace(file)}
    found = set()
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.stat(entry / "ns" / "net").st_ino in namespaces:
                found.add(int(entry.name))
        except OSError:
            continue
    return found


def _is_namespace(file: str) -> bool:
    """Namespaces are files of one device, on which their inodes are those of /proc/PID/ns."""
    try:
        return os.stat(file).st_dev == os.stat("/proc/self/ns/net").st_dev
    except OSError:
        return False

"""What the machine must have before anything is built or started."""

import os
import shutil
from pathlib import Path

from bed.programs import go_program
from spica.errors import Fault, PrerequisiteError

# Program: Debian package.
PROGRAMS = {
    "containerd": "containerd",
    "debootstrap": "debootstrap",
    "gcc": "gcc",
    "ip": "iproute2",
    "iptables": "iptables",
    "mariadb": "mariadb-client-core",
    "mariadb-install-db": "mariadb-server-core",
    "mariadbd": "mariadb-server-core",
    "nsenter": "util-linux",
    "openssl": "openssl",
    "runc": "runc",
    "sysctl": "procps",
}


def check() -> None:
    """Look at all of it before the first change.

    Raises:
        PrerequisiteError: with every fault at once, each with the command that mends it.
    """
    faults = []
    if os.geteuid() != 0:
        next_step = "sudo make cluster"
        faults.append(
            Fault("user", f"uid {os.geteuid()}", "root: network namespaces, mounts, cgroups", next_step)
        )
    missing = {
        package for program, package in PROGRAMS.items() if not shutil.which(program, path=search_path())
    }
    if not Path("/usr/lib/cni/bridge").exists():
        missing.add("containernetworking-plugins")
    if missing:
        found = f"missing: {', '.join(sorted(missing))}"
        faults.append(Fault("system packages", found, "everything in .ci/packages.txt", "make setup-system"))
    try:
        go_program()
    except PrerequisiteError as error:
        faults.extend(error.faults)
    if faults:
        raise PrerequisiteError(*faults)


def search_path() -> str:
    """PATH with the folders of the administrator's programs, which a user's shell may lack."""
    return f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"

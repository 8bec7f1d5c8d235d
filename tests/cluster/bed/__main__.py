"""The test cluster: python -m bed build|up|down|purge|status|env|base, load ARCHIVE, test MARKERS."""

import hashlib
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

from bed import (
    control_plane,
    images,
    kfp,
    layout,
    lock,
    network,
    node,
    operators,
    pki,
    prerequisites,
    programs,
)
from bed.layout import KUBECONFIG, STATE, note
from bed.objects import apply, manifest, unready, wait_ready
from bed.processes import alive, pid, stop
from spica.errors import Fault, PrerequisiteError, SpicaError

PROCESSES = (
    "etcd",
    "apiserver",
    "controller-manager",
    "scheduler",
    "containerd",
    "kubelet",
    "proxy",
    "mariadb",
)


def build() -> None:
    """Build every program that the cache lacks."""
    prerequisites.check()
    programs.build()


def up() -> None:
    """Build what is missing, start what does not run, apply what changed; nothing when all is healthy."""
    prerequisites.check()
    with lock.operation():
        if is_healthy():
            note(f"is up and healthy, {lock.held_by()}")
            return
        programs.build()
        start = time.monotonic()
        STATE.mkdir(parents=True, exist_ok=True)
        (STATE / "stamp").unlink(missing_ok=True)
        lock.hold()
        pki.make()
        network.up()
        node.start_containerd()
        control_plane.up()
        images.load_all()
        node.up()
        note(f"control plane and node up after {time.monotonic() - start:.0f} s")
        apply(manifest("dns"))
        operators.up()
        kfp.up()
        wait_ready()
        operators.queues()
        wait_ready()
        (STATE / "stamp").write_text(sources())
        took_s = f"{time.monotonic() - start:.0f}"
        (STATE / "up_s").write_text(took_s)
        note(f"up in {took_s} s; next: export KUBECONFIG={KUBECONFIG}")


def down() -> None:
    """Leave no process, mount, namespace or link; what was built and imported stays in the cache."""
    with lock.operation():
        start = time.monotonic()
        for name in ("kubelet", "proxy"):
            stop(name)
        for name in ("mariadb", "scheduler", "controller-manager", "apiserver", "etcd"):
            stop(name, patience_s=0)  # its state is thrown away below
        stop("containerd")
        network.down()
        node.remove_cgroups()
        for folder in (
            "etcd",
            "kubelet",
            "mariadb",
            "addresses",
            "containerd-state",
            "pod-logs",
            "pid",
            "log.last",
        ):
            shutil.rmtree(STATE / folder, ignore_errors=True)
        if (STATE / "log").exists():
            # Whoever looks for why a test failed comes after the cluster is gone.
            (STATE / "log").rename(STATE / "log.last")
        (STATE / "stamp").unlink(missing_ok=True)
        lock.release()
        note(f"down in {time.monotonic() - start:.0f} s")


def purge() -> None:
    """Take the cluster down and forget its images and certificates; the built programs stay."""
    down()
    shutil.rmtree(STATE)


def status() -> None:
    """Print who holds the cluster, its processes with their memory, and what is not ready."""
    print(lock.held_by() or "no cluster")
    for name in PROCESSES:
        number = pid(name)
        print(f"{name:20} {f'pid {number:<8} {_resident_mib(number):5} MiB' if number else 'down'}")
    if alive("apiserver"):
        print(f"not ready: {', '.join(unready()) or 'nothing'}")


def env() -> None:
    """Print what a shell needs: eval "$(python -m bed env)"."""
    print(f"export KUBECONFIG={KUBECONFIG} PATH={programs.binary('kubectl').parent}:$PATH")


def test(markers: str) -> int:
    """Run the tests on this cluster; the exit code of pytest.

    A cluster that stands already is left standing; one started for the tests is taken down, whatever happens.

    Raises:
        PrerequisiteError: KUBECONFIG names another cluster.
    """
    if (named := os.environ.get("KUBECONFIG")) and named != str(KUBECONFIG):
        raise PrerequisiteError(
            Fault("KUBECONFIG", named, "none, or that of `make cluster`", "unset KUBECONFIG")
        )
    ours = not lock.held_by()
    # As Ctrl-C: pytest then takes down what its fixtures made.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        up()
        return pytest.main(["-m", markers, str(layout.HERE.parent)])
    finally:
        if ours:
            down()


def is_healthy() -> bool:
    """Whether every process lives, all is ready, and all of it came from the sources as they are now."""
    stamp = STATE / "stamp"
    return (
        stamp.exists()
        and stamp.read_text() == sources()
        and all(alive(name) for name in PROCESSES)
        and control_plane.is_ready()
        and not unready()
    )


def sources() -> str:
    """Digest of the files that describe the cluster."""
    digest = hashlib.sha256()
    for folder in (layout.HERE, layout.MANIFESTS, layout.PATCHES, layout.PODS, layout.HERE.parent / "kube"):
        for path in sorted(path for path in folder.iterdir() if path.is_file()):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _resident_mib(number: int) -> int:
    lines = Path(f"/proc/{number}/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS"))


def main() -> int:
    """Run one command; exit 2 when there is no such command, else as `spica` exits."""
    os.environ["PATH"] = prerequisites.search_path()
    commands = {"build": build, "up": up, "down": down, "purge": purge, "status": status, "env": env}
    try:
        match sys.argv[1:]:
            case [name] if name in commands:
                commands[name]()
            case ["load", path]:
                images.load(Path(path))
            case ["base"]:
                print(images.base_archive())
            case ["test", markers]:
                return test(markers)
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except SpicaError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())

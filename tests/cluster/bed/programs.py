"""The programs of the cluster, built from Go modules; a changed version rebuilds that part only."""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from bed.layout import CACHE, HERE, note
from spica.errors import Fault, PrerequisiteError, StageError

KUBERNETES = "v1.36.3"
KUBERNETES_PROGRAMS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "kubectl",
)
DNS_PLUGINS = ("cache", "errors", "health", "kubernetes", "ready", "template")
STATIC_CGO = ("-tags", "netgo osusergo sqlite_omit_load_extension")


class Module(NamedTuple):
    """One Go module and the programs taken from it (name of the program: package)."""

    name: str
    path: str
    version: str
    programs: dict[str, str]

    @property
    def key(self) -> str:
        return f"{self.name}-{self.version}"


MODULES = {
    module.name: module
    for module in (
        Module("coredns", "github.com/coredns/coredns", "v1.14.7", {"coredns": "."}),
        Module("kwok", "sigs.k8s.io/kwok", "v0.8.0", {"kwok": "./cmd/kwok"}),
        Module(
            "training-operator",
            "github.com/kubeflow/training-operator",
            "v1.9.3",
            {"training-operator": "./cmd/training-operator.v1"},
        ),
        Module("kueue", "sigs.k8s.io/kueue", "v0.12.3", {"kueue": "./cmd/kueue"}),
        Module("minio", "github.com/minio/minio", "v0.0.0-20260212201848-7aac2a2c5b7c", {"minio": "."}),
        Module("kserve", "github.com/kserve/kserve", "v0.17.0", {"kserve": "./cmd/manager"}),
        Module(
            "argo",
            "github.com/argoproj/argo-workflows/v3",
            "v3.7.4",
            {"workflow-controller": "./cmd/workflow-controller", "argoexec": "./cmd/argoexec"},
        ),
        Module(
            "kfp",  # 2.0.5, the newest whose module the Go proxy serves
            "github.com/kubeflow/pipelines",
            "v0.0.0-20231208180049-c5658f09ec38",
            {
                "driver": "./backend/src/v2/cmd/driver",
                "launcher-v2": "./backend/src/v2/cmd/launcher-v2",
                "persistence-agent": "./backend/src/agent/persistence",
                "apiserver": "./backend/src/apiserver",
            },
        ),
    )
}


def build() -> None:
    """Build what the cache lacks, one process at a time: everything is half an hour of two idle cores."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "programs.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            note("another process builds the programs, this one waits for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        _build_kubernetes()
        _build_pause()
        for module in MODULES.values():
            source(module.name)
            for program, package in module.programs.items():
                _build(module, program, package)


def binary(name: str) -> Path:
    """Path of a built program of Kubernetes, `pause`, or of one of MODULES."""
    for module in MODULES.values():
        if name in module.programs:
            return CACHE / "bin" / module.key / name
    return _kubernetes_folder() / name


def source(name: str) -> Path:
    """A writable copy of the module's tree: with `replace` it cannot be built in place."""
    module = MODULES[name]
    folder = CACHE / "src" / module.key
    if not folder.exists():
        partial = folder.with_name(folder.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.parent.mkdir(parents=True, exist_ok=True)
        cached = json.loads(_go("mod", "download", "-json", f"{module.path}@{module.version}"))["Dir"]
        subprocess.run(["cp", "-r", "--no-preserve=mode", cached, partial], check=True)
        if name == "argo":  # the module's archive lacks this file; darwin's is the same code
            signals = partial / "workflow" / "executor" / "osspecific"
            shutil.copy(signals / "signal_darwin.go", signals / "signal_linux.go")
        if name == "coredns":  # its generated list of plugins; all of them would build for five minutes
            imports = "".join(f'import _ "{module.path}/plugin/{plugin}"\n' for plugin in DNS_PLUGINS)
            (partial / "core" / "plugin" / "zplugin.go").write_text(f"package plugin\n\n{imports}")
        partial.rename(folder)
    return folder


def go_program() -> str:
    """The `go` of the PATH, or the one `make setup-system` put into the cache.

    Raises:
        PrerequisiteError: neither is there, or it is older than the go.mod of Kubernetes asks for.
    """
    found = "no go"
    for candidate in (shutil.which("go"), *map(str, CACHE.glob("go/lib/python3*/site-packages/go/bin/go"))):
        if candidate:
            found = subprocess.run([candidate, "version"], capture_output=True, text=True).stdout.strip()
            release = re.search(r"go1\.(\d+)", found)
            if release and int(release[1]) >= 26:
                return candidate
    raise PrerequisiteError(Fault("Go", found, "go 1.26 or newer", "make setup-system"))


def _go(*arguments: str, cwd: Path | None = None, cgo: bool = False) -> str:
    environment = os.environ | {"CGO_ENABLED": "1" if cgo else "0"}
    command = [go_program(), *arguments]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    if done.returncode:
        tail = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise StageError(
            Fault(f"go {arguments[0]} {arguments[-1]}", tail, "exit 0", "make cluster tries again")
        )
    return done.stdout


def _build(module: Module, program: str, package: str) -> None:
    target = CACHE / "bin" / module.key / program
    if target.exists():
        return
    cgo = (
        program == "apiserver"
    )  # KFP's storage package names sqlite3's error type; linked statically all the same
    flags = "-s -w" + (' -linkmode external -extldflags "-static"' if cgo else "")
    tags = STATIC_CGO if cgo else ()
    mode = ("-mod=mod",) if module.name == "kfp" else ()
    _compile(target, package, flags, *tags, *mode, cwd=source(module.name), cgo=cgo)


def _compile(target: Path, package: str, ldflags: str, *flags: str, cwd: Path, cgo: bool = False) -> None:
    start = time.monotonic()
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".partial")
    options = ("-trimpath", "-buildvcs=false", "-ldflags", ldflags, *flags)
    _go("build", *options, "-o", str(partial), package, cwd=cwd, cgo=cgo)
    partial.rename(target)
    note(f"built {target.parent.name}/{target.name} in {time.monotonic() - start:.0f} s")


def _kubernetes_folder() -> Path:
    pins = hashlib.sha256((HERE.parent / "kube" / "go.sum").read_bytes()).hexdigest()[:8]
    return CACHE / "bin" / f"kubernetes-{KUBERNETES}-{pins}"


def _build_kubernetes() -> None:
    # Without these every component calls itself v0.0.0-master.
    minor = KUBERNETES.split(".")[1]
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    values = {"gitVersion": KUBERNETES, "gitMajor": "1", "gitMinor": minor, "gitTreeState": "clean"}
    versions = [f"-X {package}.{key}={value}" for package in packages for key, value in values.items()]
    for name in KUBERNETES_PROGRAMS:
        if not binary(name).exists():
            _compile(
                binary(name),
                f"k8s.io/kubernetes/cmd/{name}",
                " ".join(["-s -w", *versions]),
                cwd=HERE.parent / "kube",
            )
    if not binary("etcd").exists():
        _compile(binary("etcd"), "go.etcd.io/etcd/server/v3", "-s -w", cwd=HERE.parent / "kube")


def _build_pause() -> None:
    if not binary("pause").exists():
        module = Path(
            _go("list", "-m", "-f", "{{.Dir}}", "k8s.io/kubernetes", cwd=HERE.parent / "kube").strip()
        )
        code = module / "build" / "pause" / "linux" / "pause.c"
        subprocess.run(["gcc", "-Os", "-static", "-DVERSION=spica", "-o", binary("pause"), code], check=True)

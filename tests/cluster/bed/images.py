"""The images of the cluster: made here from programs and Debian packages, pulled from nowhere."""

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bed import archive
from bed.layout import CACHE, CONTAINERD_SOCKET, PODS, STATE, note
from bed.programs import KUBERNETES, MODULES, binary

FOLDER = CACHE / "images"
PREFIX = "localhost/spica"
BASE = f"{PREFIX}/python:3.11"
PAUSE = f"{PREFIX}/pause:{KUBERNETES}"
STORAGE_INITIALIZER = f"{PREFIX}/storage-initializer:0.17.0"
METADATA = f"{PREFIX}/metadata:1.17.1"
KFP_PYTHON = f"{PREFIX}/kfp-python:2.17.0"
# Where the operators' own manifests look for their program; others are found by name, in /bin.
MANAGERS = ("training-operator", "kueue", "kserve")
NONROOT = ("workflow-controller", "kueue", "kserve")

PACKAGES = "python3,ca-certificates"
# For the init container of a PyTorchJob's worker: busybox's own fails when one of the search domains does.
NSLOOKUP = '#!/bin/sh\nexec getent hosts "$1"\n'


def tag(program: str) -> str:
    """The image of one of the programs of MODULES."""
    version = next(module.version for module in MODULES.values() if program in module.programs)
    return f"{PREFIX}/{program}:{version}"


def names() -> dict[str, str]:
    """Every image by the name under which the manifests ask for it, `image_<program>`."""
    programs = [program for module in MODULES.values() for program in module.programs]
    named = {f"image_{program.replace('-', '_')}": tag(program) for program in programs}
    return named | {"image_python": BASE, "image_metadata": METADATA, "image_download": STORAGE_INITIALIZER}


def load(path: Path) -> None:
    """Import an image archive into the cluster's containerd; its pods then find it under its tags."""
    subprocess.run([*_ctr(), "images", "import", path], check=True, stdout=subprocess.DEVNULL)


class Making(NamedTuple):
    """How an image comes to be."""

    made_of: str
    """Another text, another image: tags do not change when a package or a script does."""
    write: Callable[[Path], None]
    """Writes the archive."""


def load_all() -> None:
    """Build the missing archives and import what was not yet imported."""
    listed = subprocess.run([*_ctr(), "images", "ls", "-q"], check=True, stdout=subprocess.PIPE, text=True)
    present = listed.stdout.split()
    imported = STATE / "imported"
    imported.mkdir(exist_ok=True)
    for image, making in _makings().items():
        path = _archive(image, making)
        if image not in present or not (imported / path.name).exists():
            load(path)
            (imported / path.name).touch()


def base_archive() -> Path:
    """The docker-archive of Debian with Python 3.11, the base of every Python image; made if missing."""
    return _archive(BASE, _makings()[BASE])


def _makings() -> dict[str, Making]:
    programs = {
        tag(program): Making(module.key, partial(_program, program))
        for module in MODULES.values()
        for program in module.programs
    }
    return {
        PAUSE: Making(KUBERNETES, _pause),
        BASE: Making(PACKAGES + NSLOOKUP, _base),
        **programs,
        STORAGE_INITIALIZER: _python(
            STORAGE_INITIALIZER, ["kserve-storage==0.17.0"], "storage_initializer.py"
        ),
        METADATA: _python(METADATA, ["ml-metadata==1.17.1", "protobuf<5"], "metadata_server.py"),
        KFP_PYTHON: _python(KFP_PYTHON, ["kfp==2.17.0", "typing-extensions"], dependencies=False),
    }


def _archive(image: str, making: Making) -> Path:
    """The archive of an image; made if missing."""
    digest = hashlib.sha256(making.made_of.encode()).hexdigest()[:8]
    path = FOLDER / f"{image.removeprefix(PREFIX + '/').replace(':', '-')}-{digest}.tar"
    if not path.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        making.write(path)
        note(f"wrote image {image}")
    return path


def _ctr() -> list[str]:
    return ["ctr", "--address", str(CONTAINERD_SOCKET), "--namespace", "k8s.io"]


def _program(program: str, out: Path) -> None:
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        layer = Path(folder) / "layer.tar"
        path = "/manager" if program in MANAGERS else f"/bin/{program}"
        archive.program_layer(layer, {path: binary(program)})
        user = "65532" if program in NONROOT else "0"
        environment = ["HOME=/tmp"]
        archive.image(out, tag(program), [layer], entrypoint=[path], environment=environment, user=user)


def _pause(out: Path) -> None:
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        layer = Path(folder) / "layer.tar"
        archive.program_layer(layer, {"/pause": binary("pause")})
        archive.image(out, PAUSE, [layer], entrypoint=["/pause"], user="65535")


def _base(out: Path) -> None:
    archive.image(out, BASE, [_base_layer()])


def _base_layer() -> Path:
    digest = hashlib.sha256((PACKAGES + NSLOOKUP).encode()).hexdigest()[:8]
    layer = FOLDER / f"python-3.11-{digest}.layer"
    if layer.exists():
        return layer
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
        root = Path(folder) / "root"
        with (FOLDER / "debootstrap.log").open("w") as log:
            command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(root)]
            subprocess.run(command, check=True, stdout=log, stderr=subprocess.STDOUT)
        _forget_the_day_and_the_machine(root)
        nslookup = root / "usr/local/bin/nslookup"
        nslookup.write_text(NSLOOKUP)
        nslookup.chmod(0o755)
        archive.folder_layer(layer, root)
    return layer


def _forget_the_day_and_the_machine(root: Path) -> None:
    """Same packages, same bytes: no caches, no logs, no resolver and no date of the machine that made it."""
    for waste in (
        *("var/cache/apt", "var/lib/apt/lists", "var/log", "var/cache/ldconfig", "var/cache/debconf"),
        *("usr/share/doc", "usr/share/locale", "usr/share/man", "usr/share/info"),
    ):
        shutil.rmtree(root / waste, ignore_errors=True)
        (root / waste).mkdir()
    for stale in root.rglob("__pycache__"):
        shutil.rmtree(stale)
    for name in ("passwd-", "group-", "shadow-", "gshadow-"):
        (root / "etc" / name).unlink(missing_ok=True)
    for name in ("resolv.conf", "hostname"):
        (root / "etc" / name).write_text("")
    shadow = root / "etc" / "shadow"
    shadow.write_text(re.sub(r"^([^:]*:[^:]*):\d+:", r"\1::", shadow.read_text(), flags=re.MULTILINE))


def _python(image: str, packages: list[str], script: str = "", *, dependencies: bool = True) -> Making:
    """An image of the base, `packages` under /opt/site, perhaps a script of ../pods as its entry point."""
    text = (PODS / script).read_text() if script else ""

    def write(out: Path) -> None:
        with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
            site = Path(folder) / "site"
            install = [sys.executable, "-m", "uv", "pip", "install", "-q", "--target", str(site), *packages]
            subprocess.run([*install, *(() if dependencies else ("--no-deps",))], check=True)
            (site / ".lock").unlink(missing_ok=True)
            if script:
                (site / "entrypoint.py").write_text(text)
            layer = Path(folder) / "layer.tar"
            archive.folder_layer(layer, site, at="/opt/site")
            archive.image(
                *(out, image, [_base_layer(), layer]),
                entrypoint=["/usr/bin/python3.11", "/opt/site/entrypoint.py"] if script else [],
                environment=["PYTHONPATH=/opt/site", "HOME=/tmp", "HF_HOME=/tmp/hf"],
            )

    return Making("\n".join([PACKAGES + NSLOOKUP, *packages, text]), write)

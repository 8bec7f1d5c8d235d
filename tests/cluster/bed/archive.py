"""Image archives (docker-archive) written from files: no daemon, no registry; same input, same bytes."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

SEARCH_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ACCOUNTS = {
    "etc/passwd": "root:x:0:0::/:/\nnonroot:x:65532:65532::/tmp:/\n",
    "etc/group": "root:x:0:\nnonroot:x:65532:\n",
}


def folder_layer(out: Path, folder: Path, at: str = "") -> None:
    """Write `folder` as a layer under the path `at` (then all is root's), or as the root filesystem."""

    def entry(info: tarfile.TarInfo) -> tarfile.TarInfo:
        if at:
            info.uid = info.gid = 0
        return _timeless(info)

    def write(tar: tarfile.TarFile) -> None:
        for child in sorted(folder.iterdir()):
            if at or child.name not in ("proc", "sys", "dev"):
                # tarfile's own recursion sorts the names too, so the order never depends on the disk.
                tar.add(child, arcname=f"{at}/{child.name}".lstrip("/"), filter=entry)

    _layer(out, write)


def program_layer(out: Path, programs: dict[str, Path]) -> None:
    """Write a layer of executables (path in the image: file here), two accounts and /tmp."""

    def write(tar: tarfile.TarFile) -> None:
        for name, mode in (("bin", 0o755), ("etc", 0o755), ("tmp", 0o1777)):
            info = tarfile.TarInfo(name)
            info.type, info.mode = tarfile.DIRTYPE, mode
            tar.addfile(info)
        for name, text in ACCOUNTS.items():
            _add_bytes(tar, name, text.encode())
        for name, path in programs.items():
            info = _timeless(tar.gettarinfo(path, arcname=name.lstrip("/")))
            info.uid, info.gid, info.mode = 0, 0, 0o755
            with path.open("rb") as file:
                tar.addfile(info, file)

    _layer(out, write)


def image(
    out: Path,
    tag: str,
    layers: Sequence[Path],
    *,
    entrypoint: Sequence[str] = (),
    environment: Sequence[str] = (),
    user: str = "0",
) -> None:
    """Write the archive of an image that stacks `layers`, bottom first."""
    digests = [_sha256(layer) for layer in layers]
    config = {
        "architecture": "amd64",
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {
            "Entrypoint": list(entrypoint) or None,
            "Env": [SEARCH_PATH, *environment],
            "User": user,
            "WorkingDir": "/",
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
        # buildah refuses to build on an image whose history and layers differ in number.
        "history": [{"created": "1970-01-01T00:00:00Z"} for _ in digests],
    }
    document = json.dumps(config, sort_keys=True).encode()
    config_name = f"{hashlib.sha256(document).hexdigest()}.json"
    names = [f"{digest}/layer.tar" for digest in digests]
    manifest = json.dumps([{"Config": config_name, "RepoTags": [tag], "Layers": names}]).encode()
    partial = out.with_suffix(".partial")
    with tarfile.open(partial, "w", format=tarfile.GNU_FORMAT) as tar:
        _add_bytes(tar, config_name, document)
        _add_bytes(tar, "manifest.json", manifest)
        for name, layer in zip(names, layers, strict=True):
            with layer.open("rb") as file:
                info = tarfile.TarInfo(name)
                info.size = layer.stat().st_size
                tar.addfile(info, file)
    partial.rename(out)


def _layer(out: Path, write: Callable[[tarfile.TarFile], None]) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_suffix(".partial")
    with tarfile.open(partial, "w", format=tarfile.GNU_FORMAT) as tar:
        write(tar)
    partial.rename(out)


def _add_bytes(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def _timeless(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.mtime = 0
    info.uname = info.gname = ""
    return info


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

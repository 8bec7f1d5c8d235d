"""Foreign data and checkpoints by URI: where a recipe's `uri` and `path` lead, and what they hold.

    file://folder, or a plain path  used where it lies; fingerprint: SHA-256 over names and bytes
    s3://bucket/prefix              downloaded; fingerprint: SHA-256 over keys, sizes and ETags
    hf://OWNER/NAME[@REVISION]      a model on the Hub (also plain OWNER/NAME); fingerprint: the commit
    hf://datasets/OWNER/NAME[@REVISION][/FOLDER]
                                    a data set, or one folder of it; fingerprint: the commit
    miniature://...                 made by spica.miniature.folders; fingerprint: "generated", since URI and
                                    code say all; miniature://base is a shipped folder, hashed like any other;
                                    with parameters it is trained, fingerprint: the trainer's code

Endpoints and credentials are those of the libraries: AWS_ENDPOINT_URL, AWS_PROFILE, HF_ENDPOINT, HF_TOKEN ...
"""

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from spica.artifacts.code import module_digest
from spica.artifacts.names import relative_name
from spica.errors import Fault, PrerequisiteError, RecipeError

ALLOWED = (
    "file://folder, s3://bucket/prefix, hf://[datasets/]OWNER/NAME[@REVISION], miniature://..., or a path"
)

_NAME = r"[A-Za-z0-9][\w.-]*"
_HUB_ID = re.compile(rf"{_NAME}/{_NAME}(?:@[\w./-]+)?")
_HUB_URI = re.compile(
    rf"(?P<kind>datasets/)?(?P<repo>{_NAME}/{_NAME})(?:@(?P<revision>[\w.-]+))?(?:/(?P<folder>.+))?"
)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_UNSAFE_ON_HUB = [
    "*.bin",
    "*.pt",
    "*.pth",
    "*.ckpt",
    "*.pkl",
    "*.pickle",
    "*.py",
    "*.h5",
    "*.msgpack",
    "*.onnx",
    "*.gguf",
]


def materialize(uri: str, folder: Path) -> Path:
    """Brings what `uri` names to hand.

    Args:
        uri: One of the forms above.
        folder: Where downloads and generated files go; a half-filled one of a killed run is completed or
            refilled.

    Returns:
        The folder (or single file) with the data: the original for file://, below `folder` for the others.

    Raises:
        RecipeError: No such scheme, or a URI that the scheme cannot read.
        PrerequisiteError: The path does not exist, or the service cannot be reached or refuses.
    """
    scheme, place = _split(uri)
    if scheme == "file":
        return _existing(uri, place)
    if scheme == "s3":
        return _download_s3(uri, folder)
    if scheme == "hf":
        return _download_hub(uri, place, folder)
    return _generate(uri, folder)


def fingerprint(uri: str) -> str:
    """A short text that changes when what `uri` names changes. Nothing is downloaded.

    Raises:
        RecipeError, PrerequisiteError: As `materialize`.
    """
    scheme, place = _split(uri)
    if scheme == "file":
        return f"sha256:{_hash_path(_existing(uri, place))}"
    if scheme == "s3":
        listing = "".join(f"{name}\0{item['Size']}\0{item['ETag']}\n" for name, item in _list_s3(uri))
        return f"etags:{hashlib.sha256(listing.encode()).hexdigest()}"
    if scheme == "hf":
        return f"commit:{_hub_commit(uri, _hub_place(uri, place))}"
    from spica.miniature.base_path import TRAINER, base_path

    if place == "base":
        return f"sha256:{_hash_path(base_path())}"
    return f"code:{module_digest(TRAINER)}" if place.startswith("base?") else "generated"


def _split(uri: str) -> tuple[str, str]:
    """Scheme and the rest; a plain OWNER/NAME that is no path here is a Hub id."""
    scheme, separator, place = uri.partition("://")
    if not separator:
        return ("hf" if _HUB_ID.fullmatch(uri) and not Path(uri).exists() else "file"), uri
    if scheme not in ("file", "s3", "hf", "miniature") or not place:
        raise RecipeError(
            Fault("uri", repr(uri), ALLOWED, "correct the URI in the recipe, then `spica check`")
        )
    return scheme, place


def _existing(uri: str, place: str) -> Path:
    path = Path(place).expanduser()
    if not path.exists():
        raise PrerequisiteError(
            Fault(
                uri,
                f"nothing at {path.absolute()}",
                "an existing folder or file",
                "put the data there or correct the URI",
            )
        )
    return path


def _hash_path(path: Path) -> str:
    """SHA-256 over the names and contents of all files; hidden ones (download caches) do not count."""
    if path.is_file():
        return _hash_file(path)
    names = sorted(
        name.as_posix()
        for name in (file.relative_to(path) for file in path.rglob("*") if file.is_file())
        if not any(part.startswith(".") for part in name.parts)
    )
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        digests = pool.map(lambda name: _hash_file(path / name), names)
        listing = "".join(f"{digest}  {name}\n" for digest, name in zip(digests, names, strict=True))
    return hashlib.sha256(listing.encode()).hexdigest()


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _generate(uri: str, folder: Path) -> Path:
    from spica.miniature.base_path import base_path
    from spica.miniature.folders import write_folder

    if uri == "miniature://base":
        return _existing(uri, str(base_path()))
    part = folder.with_name(f"{folder.name}.part")
    for leftover in (part, folder):
        shutil.rmtree(leftover, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        write_folder(uri, part)
    except ValueError as error:
        raise RecipeError(
            Fault("uri", repr(uri), str(error), "correct the URI in the recipe, then `spica check`")
        ) from error
    return part.rename(folder)


def _list_s3(uri: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(Name below the prefix, listing entry) for every object, in key order."""
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
    found = False
    with _s3_faults(uri):
        for page in _s3().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for item in page.get("Contents", ()):
                if not item["Key"].endswith("/"):
                    found = True
                    yield _checked(uri, item["Key"].removeprefix(prefix)), item
    if not found:
        raise PrerequisiteError(Fault(uri, "no objects", "a prefix that holds files", f"aws s3 ls {uri}/"))


def _download_s3(uri: str, folder: Path) -> Path:
    bucket = uri.removeprefix("s3://").partition("/")[0]
    for name, item in _list_s3(uri):
        target = folder / name
        if target.is_file() and target.stat().st_size == item["Size"]:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.part")
        with _s3_faults(uri):
            # IfMatch: the object that was listed, not one that replaced it meanwhile.
            with part.open("wb") as file:
                body = _s3().get_object(Bucket=bucket, Key=item["Key"], IfMatch=item["ETag"])["Body"]
                shutil.copyfileobj(body, file, 1 << 20)
        if part.stat().st_size != item["Size"]:
            found, listed = f"{part.stat().st_size} bytes of {name}", f"{item['Size']} bytes, as listed"
            raise PrerequisiteError(Fault(uri, found, listed, "run the same command again"))
        part.replace(target)
    return folder


def _checked(uri: str, name: str) -> str:
    try:
        return relative_name(name)
    except ValueError as error:
        raise PrerequisiteError(
            Fault(uri, f"key refused: {error}", "relative names", "rename the object")
        ) from error


def _s3() -> Any:
    import boto3

    return boto3.client("s3")


@contextmanager
def _s3_faults(uri: str) -> Iterator[None]:
    """Turns the library's errors into one that says what to check; no credential is in any of them."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", "unknown"))
        advice = (
            "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_PROFILE, the bucket's name and its policy"
        )
        raise PrerequisiteError(
            Fault(uri, f"S3 answered {code}", "objects that can be listed and read", advice)
        ) from error
    except (BotoCoreError, OSError) as error:
        advice = "check AWS_ENDPOINT_URL, AWS_REGION, credentials and the network"
        raise PrerequisiteError(
            Fault(uri, f"{type(error).__name__}: {error}", "a reachable S3 endpoint", advice)
        ) from error


class _HubPlace(NamedTuple):
    repo: str
    repo_type: str
    revision: str | None
    folder: str | None


def _hub_place(uri: str, place: str) -> _HubPlace:
    found = _HUB_URI.fullmatch(place)
    if found is None or found["repo"].startswith("datasets/") or ".." in place.split("/"):
        raise RecipeError(
            Fault("uri", repr(uri), ALLOWED, "correct the URI in the recipe, then `spica check`")
        )
    return _HubPlace(
        found["repo"], "dataset" if found["kind"] else "model", found["revision"], found["folder"]
    )


def _hub_commit(uri: str, place: _HubPlace) -> str:
    if place.revision and _COMMIT.fullmatch(place.revision):
        return place.revision
    with _hub_faults(uri):
        info = _hub().repo_info(place.repo, repo_type=place.repo_type, revision=place.revision, timeout=30.0)
    return str(info.sha)


def _download_hub(uri: str, place: str, folder: Path) -> Path:
    hub = _hub_place(uri, place)
    commit = _hub_commit(uri, hub)
    with _hub_faults(uri):
        _hub().snapshot_download(
            hub.repo,
            repo_type=hub.repo_type,
            revision=commit,
            local_dir=folder,
            allow_patterns=[f"{hub.folder}/*"] if hub.folder else None,
            ignore_patterns=_UNSAFE_ON_HUB,
        )
    return _existing(uri, str(folder / (hub.folder or ".")))


def _hub() -> Any:
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        found, advice = (
            "huggingface_hub is not installed",
            "install spica[train], or download the files by hand",
        )
        raise PrerequisiteError(Fault("hf://", found, "huggingface_hub", advice)) from error
    return HfApi(endpoint=os.environ.get("HF_ENDPOINT"))


@contextmanager
def _hub_faults(uri: str) -> Iterator[None]:
    try:
        yield
    except PrerequisiteError:
        raise
    except Exception as error:  # the Hub's library raises httpx's, its own and the system's
        advice = "check the name, network, HF_ENDPOINT and HF_TOKEN; or download by hand and give the path"
        found = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        raise PrerequisiteError(Fault(uri, found[:300], "a repository that can be read", advice)) from error

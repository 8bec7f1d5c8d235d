"""A tiny checkpoint and the server asked for over it."""

from pathlib import Path

from spica.artifacts.manifest import Artifact, Execution, Manifest
from spica.artifacts.types import FileEntry
from spica.launch.contract import ModelServer
from spica.recipe.load import load_recipe
from spica.recipe.schema import Kubernetes
from spica.recipe.slices import ServerScale

EXECUTION = Execution(
    started="2026-01-01T00:00:00Z", wall_s=1.0, cpu_s=1.0, tokens=0, host="here", version="0.1.0"
)
FILES = (
    FileEntry(path="config.json", size=2, sha256="a" * 64),
    FileEntry(path="model.safetensors", size=30_000_000, sha256="b" * 64),
)


def checkpoint(files: tuple[FileEntry, ...] = FILES, digest: str = "c" * 64) -> Artifact:
    manifest = Manifest(
        kind="checkpoint",
        task="sft-d_t",
        key="0123456789abcdef" * 4,
        slice={},
        inputs={},
        code="d" * 64,
        seed=0,
        files=files,
        metrics={},
        digest=digest,
        execution=EXECUTION,
    )
    uri = "s3://spica/miniature/sft-d_t/0123456789abcdef/89abcdef01234567"
    return Artifact(manifest, uri, lambda _: Path("/nowhere"))


def server(logs: Path = Path("server.log"), name: str = "D_T", num_servers: int = 1) -> ModelServer:
    scale = ServerScale(
        precision="bf16",
        threads=1,
        tensor_parallel=1,
        num_servers=num_servers,
        kv_cache_gib=1,
        max_model_len=512,
        max_images=1,
    )
    return ModelServer(name=name, checkpoint=checkpoint(), logs=logs, scale=scale)


def kubernetes(recipe: str = "miniature", profile: str = "cluster2") -> Kubernetes:
    found = load_recipe(recipe, profile).scale.kubernetes
    assert found is not None
    return found

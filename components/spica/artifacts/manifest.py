"""The manifest: written last, so its presence means complete; names every byte and where it came from."""

import hashlib
import json
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from spica.artifacts.types import SCHEMA_VERSION, FileEntry, Kind, Row


def canonical_json(value: Any) -> bytes:
    """Sorted keys, no spaces, UTF-8: equal values give equal bytes."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def sha256_of(content: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()


class Execution(Row):
    """How the artifact came about this time; outside the payload digest."""

    started: str
    """UTC, ISO 8601."""
    wall_s: float
    cpu_s: float
    """CPU seconds of the stage and everything it started."""
    tokens: int
    """Tokens generated or trained on."""
    host: str
    version: str
    """Version of Spica."""
    uris: dict[str, str] = Field(default_factory=dict)
    """Where the slice's outside data lay this time: dotted place in the slice -> URI or path."""
    blobs: Annotated[str, Field(pattern="^[0-9a-f]*$")] = ""
    """Name of the upload that holds the files, in stores that need one: each writer has its own."""


class Manifest(Row):
    """Lineage of one artifact. `digest` covers everything but `execution` and itself."""

    schema_version: int = SCHEMA_VERSION
    kind: Kind
    task: str
    key: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """Cache key: SHA-256 over slice, input digests, code digest."""
    slice: dict[str, Any]
    """What the stage saw of the recipe; places of outside data are replaced by their fingerprints."""
    inputs: dict[str, str]
    """Input name -> payload digest."""
    code: str
    """Digest of the stage's transitive sources and the lock file."""
    seed: int | None
    files: tuple[FileEntry, ...]
    metrics: dict[str, float | int | str]
    digest: str
    execution: Execution

    def payload_digest(self) -> str:
        """SHA-256 over everything that is not a time, a host or a place."""
        return sha256_of(canonical_json(self.model_dump(exclude={"digest", "execution"})))


class Reference(Row):
    """What one task hands to the next: the name of an artifact and the digest it must have."""

    task: str
    key: str
    digest: str


class Artifact:
    """A published artifact: what it is, and where; its files are brought to hand when `path` is first read.

    A stage that only passes an input on to a cluster (70 billion parameters, say) never downloads it.
    """

    def __init__(self, manifest: Manifest, uri: str, fetch: Callable[[Manifest], Path]) -> None:
        """Made by `Store.open`.

        Args:
            manifest: what was published.
            uri: where the files lie in the store.
            fetch: returns the folder with the files, verified.
        """
        self.manifest = manifest
        self.uri = uri
        self._fetch = fetch

    @cached_property
    def path(self) -> Path:
        """Folder with the files, every byte verified against the manifest; read-only.

        Raises:
            IntegrityError: the bytes differ from the manifest; names file, expected, found.
            PrerequisiteError: the store cannot be reached, or the local disk is full.
        """
        return self._fetch(self.manifest)

    @property
    def reference(self) -> Reference:
        """What names this artifact in a small file or a command line."""
        return Reference(task=self.manifest.task, key=self.manifest.key, digest=self.manifest.digest)

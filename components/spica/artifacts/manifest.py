"""The manifest: written last, so its presence means complete; names every byte and where it came from."""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, NamedTuple

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


class Artifact(NamedTuple):
    """A published artifact at hand: its files lie under `path`, verified against the manifest, read-only."""

    manifest: Manifest
    path: Path

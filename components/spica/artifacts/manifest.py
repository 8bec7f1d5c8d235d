"""The manifest: written last, so its presence means complete; names every byte and everything they came from."""

import hashlib
import json
from typing import Annotated, Any

from pydantic import Field

from spica.artifacts.types import SCHEMA_VERSION, FileEntry, Kind, Row


def canonical_json(value: Any) -> bytes:
    """Sorted keys, no spaces, UTF-8: equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


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


class Manifest(Row):
    """Lineage of one artifact. `digest` covers everything but `execution` and itself."""

    schema_version: int = SCHEMA_VERSION
    kind: Kind
    task: str
    key: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """Cache key: SHA-256 over slice, input digests, code digest."""
    slice: dict[str, Any]
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
        return hashlib.sha256(canonical_json(self.model_dump(exclude={"digest", "execution"}))).hexdigest()

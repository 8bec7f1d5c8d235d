"""Where heavy things run: one contract (start, watch, stop, logs) for a laptop and for a cluster.

A stage is handed a `Launcher`; it never asks which one. Implementations: `spica.launch.local` (torchrun and
server processes) and, on Kubernetes, jobs and inference services behind the same three types.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from spica.artifacts.manifest import Artifact
from spica.artifacts.workspace import Workspace
from spica.recipe.slices import ServerScale


@dataclass(frozen=True)
class Training:
    """A distributed job of num_nodes x ranks_per_node ranks.

    Each rank runs `python -m module --slice FILE --input NAME=FOLDER ... --out FOLDER --scratch FOLDER`, with
    the folders where its node has them: see `arguments`.
    """

    name: str
    module: str
    slice: str
    """JSON, the contents of FILE."""
    inputs: Mapping[str, Artifact]
    out: Workspace
    """Where results are when the job has ended; a launcher may leave the large ones in the store."""
    num_nodes: int
    ranks_per_node: int
    threads_per_rank: int
    logs: Path
    """File that receives the output of all ranks."""

    @staticmethod
    def arguments(slice_file: Path, inputs: Mapping[str, Path], out: Path, scratch: Path) -> list[str]:
        """The command line of a rank, after its module."""
        folders = [part for name, path in sorted(inputs.items()) for part in ("--input", f"{name}={path}")]
        return ["--slice", str(slice_file), *folders, "--out", str(out), "--scratch", str(scratch)]


@dataclass(frozen=True)
class ModelServer:
    """A vLLM server over one checkpoint, OpenAI API."""

    name: str
    checkpoint: Artifact
    logs: Path
    scale: ServerScale
    port: int | None = None
    """Any free one when left out."""
    ready_timeout_s: float = 600.0


@dataclass(frozen=True)
class CommandServer:
    """Any other HTTP server Spica ships (the miniature's teacher): a Python module that takes --port."""

    name: str
    module: str
    args: tuple[str, ...]
    logs: Path
    env: Mapping[str, str] = field(default_factory=dict)
    ready_timeout_s: float = 60.0


class Job(Protocol):
    """A running training job."""

    def watch(self) -> Iterator[str]:
        """Yield output lines until the job ends."""

    def wait(self) -> int:
        """Exit code; 0 is success."""

    def stop(self, grace_s: float = 30.0) -> None:
        """SIGTERM, then SIGKILL after `grace_s`; returns when nothing of the job is left."""


class Endpoint(Protocol):
    """A running server; a context manager that stops it."""

    url: str
    """Base URL of its OpenAI API, ending in /v1."""
    model: str
    """Name under which the model is served."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def check(self) -> None:
        """Raise EndpointError with the log's last lines when the server died."""


class Launcher(Protocol):
    """Starts heavy things. `start` blocks until a server answers one real request; a job returns at once."""

    def train(self, job: Training) -> Job:
        """Start a distributed job."""

    def serve(self, server: ModelServer | CommandServer) -> Endpoint:
        """Start a server and wait until it can serve.

        Raises:
            PrerequisiteError: its port is in use or a system library is missing.
            EndpointError: it died or was not ready in time; carries the log's last lines.
        """

"""Where heavy things run: one contract (start, watch, stop, logs) for a laptop and for a cluster.

A stage is handed a `Launcher`; it never asks which one. Implementations: `spica.launch.local` (torchrun and
server processes) and, on Kubernetes, jobs and inference services behind the same three types.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from spica.recipe.slices import ServerScale


@dataclass(frozen=True)
class Training:
    """A distributed job: `torchrun -m module args` on num_nodes x ranks_per_node ranks."""

    name: str
    module: str
    args: tuple[str, ...]
    num_nodes: int
    ranks_per_node: int
    threads_per_rank: int
    logs: Path
    """File that receives the output of all ranks."""


@dataclass(frozen=True)
class ModelServer:
    """A vLLM server over one checkpoint folder, OpenAI API."""

    name: str
    checkpoint: Path
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

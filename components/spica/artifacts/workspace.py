"""The folder a stage writes into: final files, and scratch that survives kill -9 until all is published."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from spica.artifacts.disk import disk_faults
from spica.artifacts.locks import held
from spica.artifacts.manifest import Manifest
from spica.artifacts.types import Kind

Metrics = Mapping[str, float | int | str]
NO_METRICS: Metrics = MappingProxyType({})
Commit = Callable[[Path, Kind, Metrics, int], Manifest]
"""What publishes a folder: (folder, kind, metrics, tokens) -> manifest."""


class Workspace:
    """Where one execution of one task writes.

    Attributes:
        path: final files; everything below it is published, nothing else.
        scratch: journals, training checkpoints, logs: found again by the next run with the same key, never
            published, removed after publishing.
    """

    def __init__(self, path: Path, scratch: Path, commit: Commit) -> None:
        """Made by `open_workspace`; a test may hand in two empty folders and its own `commit`."""
        self.path = path
        self.scratch = scratch
        self.published: Manifest | None = None
        self._commit = commit

    def publish(self, kind: Kind, metrics: Metrics = NO_METRICS, tokens: int = 0) -> Manifest:
        """Publish the files under `path`; call it once, last.

        Args:
            kind: artifact kind.
            metrics: results and counts; a part of the payload digest, so no times, hosts or folders here.
            tokens: tokens generated or trained on.

        Raises:
            ConflictError: the store holds different bytes under this task and key.
            PrerequisiteError: disk full, store not reachable.
        """
        if self.published is not None:
            raise RuntimeError("a stage publishes once")
        self.published = self._commit(self.path, kind, metrics, tokens)
        return self.published


def state_folder() -> Path:
    """Folder of locks, runs, scratch and download cache: $SPICA_STATE, or .spica in the working directory."""
    return Path(os.environ.get("SPICA_STATE") or ".spica").absolute()


@contextmanager
def open_workspace(state: Path, task: str, key: str, commit: Commit) -> Iterator[Workspace]:
    """Hold the work folder of one task and key.

    Final files of a killed attempt are cleared, its scratch is kept; after a body that published both go.

    Raises:
        LockedError: another process works on the same task and key; says who.
    """
    folder = state / "work" / task / key[:16]
    with held(state / "locks" / f"{task}-{key[:16]}.lock", f"{task} {key[:16]}"), disk_faults(folder):
        workspace = Workspace(folder / "files", folder / "scratch", commit)
        if workspace.path.exists():
            shutil.rmtree(workspace.path)
        workspace.path.mkdir(parents=True)
        workspace.scratch.mkdir(exist_ok=True)
        yield workspace
        if workspace.published is not None:
            shutil.rmtree(folder)

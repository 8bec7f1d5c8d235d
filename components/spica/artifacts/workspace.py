"""The folder a stage writes into: final files, and scratch that survives kill -9 until all is published."""

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from spica.artifacts.disk import disk_faults
from spica.artifacts.locks import held
from spica.artifacts.manifest import Manifest
from spica.artifacts.shelf import Shelf
from spica.artifacts.types import FileEntry, Kind, Row

Metrics = Mapping[str, float | int | str]
NO_METRICS: Metrics = MappingProxyType({})


class Delivery(Row):
    """Files that a job put into the store itself, from where it ran."""

    blobs: str
    """Name of the upload."""
    files: tuple[FileEntry, ...]


class Work(NamedTuple):
    """Which artifact is being made, and for which store."""

    task: str
    key: str
    store: str
    """URI."""


Commit = Callable[["Workspace", Kind, Metrics, int], Manifest]
"""What publishes a workspace: (workspace, kind, metrics, tokens) -> manifest."""


class Workspace:
    """Where one execution of one task writes.

    Attributes:
        path: final files; everything below it is published, nothing else.
        scratch: journals, training checkpoints, logs: found again by the next run with the same key, never
            published, removed after publishing.
        work: what is being made, for launchers whose jobs run elsewhere.
        delivery: set by such a launcher: files that belong to the artifact and are in the store already.
    """

    def __init__(self, path: Path, scratch: Path, commit: Commit, work: Work | None = None) -> None:
        """Made by `open_workspace`; a test may hand in two empty folders and its own `commit`."""
        self.path = path
        self.scratch = scratch
        self.work = work
        self.delivery: Delivery | None = None
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
        self.published = self._commit(self, kind, metrics, tokens)
        return self.published


def state_folder() -> Path:
    """Folder of locks, runs, scratch and download cache: $SPICA_STATE, or .spica in the working directory."""
    return Path(os.environ.get("SPICA_STATE") or ".spica").absolute()


def work_folder(state: Path, task: str, key: str) -> Path:
    """Folder of the unfinished attempts at one artifact: files/ and scratch/."""
    return state / "work" / task / key[:16]


@contextmanager
def open_workspace(state: Path, work: Work, commit: Commit, shelf: Shelf | None) -> Iterator[Workspace]:
    """Hold the work folder of one task and key.

    Final files of a killed attempt are cleared, its scratch is kept; after a body that published both go.

    Args:
        state: folder of locks and work folders.
        work: what is being made.
        commit: publishes.
        shelf: keeps the scratch where this machine's disk does not outlive the attempt.

    Raises:
        LockedError: another process works on the same task and key; says who.
    """
    folder, name = work_folder(state, work.task, work.key), f"{work.task}-{work.key[:16]}"
    with held(state / "locks" / f"{name}.lock", name), disk_faults(folder):
        workspace = Workspace(folder / "files", folder / "scratch", commit, work)
        if workspace.path.exists():
            shutil.rmtree(workspace.path)
        workspace.path.mkdir(parents=True)
        workspace.scratch.mkdir(exist_ok=True)
        if shelf:
            shelf.claim()
            shelf.restore(workspace.scratch)
        with shelf.kept(workspace.scratch) if shelf else nullcontext():
            yield workspace
        if workspace.published is not None:
            shutil.rmtree(folder)
            if shelf:
                shelf.clear()

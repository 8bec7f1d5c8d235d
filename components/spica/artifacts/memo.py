"""Doing a task once: the cache key, the check of a hit, the run, the manifest."""

import logging
import resource
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from spica.artifacts.code import code_digest
from spica.artifacts.folders import hash_files
from spica.artifacts.manifest import Artifact, Execution, Manifest, canonical_json, sha256_of
from spica.artifacts.store import Store
from spica.artifacts.types import Kind
from spica.artifacts.workspace import Metrics, Work, Workspace, open_workspace, state_folder
from spica.errors import ConflictError, DataError, Fault, SpicaError, StageError
from spica.launch.contract import Launcher
from spica.recipe.schema import Section

SliceT = TypeVar("SliceT", bound=Section)
Stage = Callable[[SliceT, Mapping[str, Artifact], Workspace, Launcher], Manifest]

GENERATED = "miniature://"
"""Data that a URI of this scheme names is computed from the URI and the code: it has no place."""

logger = logging.getLogger(__name__)


class Identity(NamedTuple):
    """What a result depends on."""

    key: str
    code: str
    slice: dict[str, Any]
    inputs: dict[str, str]
    uris: dict[str, str]


class Outcome(NamedTuple):
    """How a task ended."""

    manifest: Manifest
    cached: bool
    wall_s: float


def execute(
    task: str,
    run: Stage[SliceT],
    slice: SliceT,
    inputs: Mapping[str, Artifact],
    store: Store,
    launcher: Launcher,
    state: Path | None = None,
) -> Manifest:
    """Return the task's artifact: the published one where nothing changed, else by running the stage."""
    return perform(task, run, slice, inputs, store, launcher, state).manifest


def perform(
    task: str,
    run: Stage[SliceT],
    slice: SliceT,
    inputs: Mapping[str, Artifact],
    store: Store,
    launcher: Launcher,
    state: Path | None = None,
) -> Outcome:
    """Do as `execute`, and say whether it was a hit and how long it took.

    Args:
        task: name of the task in the pipeline.
        run: the stage's function.
        slice: its part of the recipe.
        inputs: name -> artifact, as `Store.open` returned it.
        store: where results are looked up and published.
        launcher: handed to the stage.
        state: folder of locks and scratch; `state_folder()` when None.

    Raises:
        IntegrityError: the published artifact is damaged (it is never silently made anew).
        LockedError: another process works on the same task and key.
        ConflictError: another run published different bytes under the same key meanwhile.
    """
    started = time.monotonic()
    identity = identify(task, run, slice, inputs)
    if found := _find(store, task, identity.key):
        return Outcome(found, True, time.monotonic() - started)
    commit = _Commit(task, identity, getattr(slice, "seed", None), store)
    work, shelf = Work(task, identity.key, store.uri), store.shelf(task, identity.key)
    with open_workspace(state or state_folder(), work, commit, shelf) as workspace:
        # Whoever held the lock before us may have published.
        if found := _find(store, task, identity.key):
            return Outcome(found, True, time.monotonic() - started)
        commit.start()
        try:
            manifest = run(slice, inputs, workspace, launcher)
        except ConflictError:
            raise
        except SpicaError as error:
            # Another attempt at the same task may have been faster, and have tidied up what this one needed.
            with suppress(SpicaError):
                workspace.published = _find(store, task, identity.key)
            if workspace.published is None:
                raise
            logger.warning("%s: published by another attempt; this one failed\n%s", task, error)
            return Outcome(workspace.published, True, time.monotonic() - started)
        if workspace.published is None or manifest != workspace.published:
            where = f"{run.__module__}.{run.__qualname__}"
            advice = "end the stage with `return out.publish(...)`"
            raise StageError(Fault(where, "a manifest that was not published", "the published one", advice))
    return Outcome(manifest, False, time.monotonic() - started)


def identify(task: str, run: Stage[SliceT], slice: SliceT, inputs: Mapping[str, Artifact]) -> Identity:
    """Return the cache key of a task and what it is made from; reads code and outside data, runs nothing."""
    dump = slice.model_dump(mode="json")
    uris = dict(_places(dump, ""))
    if uris:
        from spica.artifacts.resolve import fingerprint

        dump = _with_fingerprints(dump, {uri: fingerprint(uri) for uri in set(uris.values())})
    digests = {name: artifact.manifest.digest for name, artifact in sorted(inputs.items())}
    code = code_digest(run)
    key = sha256_of(canonical_json({"task": task, "slice": dump, "inputs": digests, "code": code}))
    return Identity(key, code, dump, digests, uris)


class _Commit:
    """Publishes a workspace's folder; the clock runs from `start`."""

    def __init__(self, task: str, identity: Identity, seed: int | None, store: Store) -> None:
        self._task = task
        self._identity = identity
        self._seed = seed
        self._store = store

    def start(self) -> None:
        self._started = datetime.now(UTC)
        self._monotonic = time.monotonic()
        self._cpu_s = _cpu_s()

    def __call__(self, out: Workspace, kind: Kind, metrics: Metrics, tokens: int) -> Manifest:
        identity, delivery = self._identity, out.delivery
        delivered = delivery.files if delivery else ()
        files = {entry.path: entry for entry in (*delivered, *hash_files(out.path))}
        wall_s, cpu_s = time.monotonic() - self._monotonic, _cpu_s() - self._cpu_s
        manifest = Manifest(
            kind=kind,
            task=self._task,
            key=identity.key,
            slice=identity.slice,
            inputs=identity.inputs,
            code=identity.code,
            seed=self._seed,
            files=tuple(files[path] for path in sorted(files)),
            metrics=dict(metrics),
            digest="",
            execution=Execution(
                started=self._started.isoformat(timespec="milliseconds"),
                wall_s=round(wall_s, 3),
                cpu_s=round(cpu_s, 3),
                tokens=tokens,
                host=socket.gethostname(),
                version=version("spica"),
                uris=identity.uris,
                blobs=delivery.blobs if delivery else "",
            ),
        )
        try:
            digest = manifest.payload_digest()
        except ValueError as error:
            found = ", ".join(f"{name} = {value}" for name, value in metrics.items() if value != value)
            raise DataError(
                Fault(
                    f"metrics of {self._task}", found or str(error), "finite numbers", "look into the inputs"
                )
            ) from error
        return self._store.publish(out.path, manifest.model_copy(update={"digest": digest}))


def _find(store: Store, task: str, key: str) -> Manifest | None:
    found = store.find(task, key)
    if found:
        store.verify(found)
    return found


def _cpu_s() -> float:
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def _places(value: Any, where: str) -> Iterator[tuple[str, str]]:
    """Yield (dotted place, URI) for each `uri` and `path` in a slice."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _places(item, f"{where}{index}.")
    elif isinstance(value, dict):
        for name, item in value.items():
            if name in ("uri", "path") and isinstance(item, str):
                yield where + name, item
            else:
                yield from _places(item, f"{where}{name}.")


def _with_fingerprints(value: Any, fingerprints: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_with_fingerprints(item, fingerprints) for item in value]
    if isinstance(value, dict):
        return {
            name: _fingerprinted(item, fingerprints)
            if name in ("uri", "path") and isinstance(item, str)
            else _with_fingerprints(item, fingerprints)
            for name, item in value.items()
        }
    return value


def _fingerprinted(uri: str, fingerprints: Mapping[str, str]) -> str:
    return f"{uri} {fingerprints[uri]}" if uri.startswith(GENERATED) else fingerprints[uri]

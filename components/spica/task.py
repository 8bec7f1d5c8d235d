"""One task of a run: the body that the command-line and KFP faces of every stage share.

Tasks hand each other small reference files; the bytes lie in the store, verified by their manifests.
"""

import importlib
import io
import json
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, TextIO, TypeVar, get_type_hints

from pydantic import BaseModel, ValidationError

from spica.artifacts.disk import disk_faults
from spica.artifacts.manifest import Artifact, Reference
from spica.artifacts.memo import Outcome, perform
from spica.artifacts.runs import TaskRecord, record_failure, record_task
from spica.artifacts.store import Store
from spica.artifacts.workspace import state_folder
from spica.errors import Fault, PrerequisiteError, RecipeError, SpicaError
from spica.launch.contract import Launcher
from spica.recipe.slices import Place

SliceT = TypeVar("SliceT", bound=BaseModel)
OWNER_VARIABLE = "SPICA_OWNER_PID"
"""Names the process whose death ends the task; set by `spica run`."""
PROGRESS_MARK = "| "
"""Begins each line that a task prints under `spica run`."""
RECORD_MARK = "spica-record: "
"""Begins the line with a task's record in the log of a step of a cluster; `spica status` reads it."""
_ORPHAN_GRACE_S = 45.0  # a training job gets 30 s to save, and its saving may begin with the end of a step


def make_launcher(place: Place) -> Launcher:
    """The launcher that a profile names."""
    if place.launcher == "kubernetes" and place.kubernetes:
        from spica.cluster.launcher import KubernetesLauncher

        return KubernetesLauncher(state_folder(), place.kubernetes, place.run)
    from spica.launch.local import LocalLauncher

    return LocalLauncher(state_folder())


def open_reference(store: Store, path: Path) -> Artifact:
    """The artifact that a reference file names; its files are fetched when they are first asked for.

    Raises:
        PrerequisiteError: the store does not hold it.
        IntegrityError: its manifest is damaged.
    """
    try:
        reference = Reference.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        found = "no file" if isinstance(error, FileNotFoundError) else "no reference"
        advice = "name the file that an earlier task wrote as its OUTPUT"
        raise PrerequisiteError(Fault(str(path), found, "a reference: task, key, digest", advice)) from None
    return store.resolve(reference, str(path))


def parse_slice(task: str, slice_type: type[SliceT], text: str) -> SliceT:
    """Read a slice.

    Raises:
        RecipeError: carries every fault of the text.
    """
    try:
        return slice_type.model_validate_json(text)
    except ValidationError as error:
        faults = [
            Fault(
                ".".join([f"slice of {task}", *map(str, found["loc"])]),
                found["msg"],
                f"a {slice_type.__name__}",
                "take the task's entry in `tasks` of `spica show RECIPE --json`",
            )
            for found in error.errors(include_url=False, include_input=False)
        ]
        raise RecipeError(*faults) from None


def run_task(task: str, module: str, slice: str, place: str, inputs: Mapping[str, Any], output: Any) -> None:
    """Run one task, or find its result in the store, and write the reference to it.

    Args:
        task: name in the pipeline, e.g. distill-d_t.
        module: the stage module that has `run`.
        slice: the stage's slice as JSON.
        place: a Place as JSON.
        inputs: name -> object with the `.path` of a reference file (KFP artifacts fit).
        output: object with the `.path` of the reference to write and a `.metadata` dict.

    Faults are printed without a traceback and end the process with the error's exit code.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    if owner := os.environ.get(OWNER_VARIABLE):
        _die_with(int(owner))
        sys.stdout = _Marked(sys.stdout)
    where = Place.model_validate_json(place)
    try:
        print(f"{task}: started", flush=True)
        outcome, artifact = _perform(task, module, slice, where, inputs)
        manifest = outcome.manifest
        with disk_faults(Path(output.path)):
            _write_reference(artifact.reference, Path(output.path))
            record_task(state_folder(), where.run, manifest)
        output.metadata.update({"kind": manifest.kind, "digest": manifest.digest, **manifest.metrics})
    except SpicaError as error:
        print(f"{task}: {error}", file=sys.stderr)
        _record(where, task, error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception:
        traceback.print_exc()
        last = traceback.format_exc(limit=-3).strip()
        fault = Fault(task, last, "an error that Spica names", "please report it with the run's log")
        _record(where, task, SpicaError(fault))
        sys.exit(1)
    how = "unchanged, from the store" if outcome.cached else f"done in {outcome.wall_s:.0f} s"
    print(f"{task}: {how} ({manifest.digest[:12]})", flush=True)
    wall_s = round(outcome.wall_s, 3)
    _tell(
        where, TaskRecord(cached=outcome.cached, wall_s=wall_s, uri=artifact.uri, **dict(artifact.reference))
    )


def _tell(where: Place, record: TaskRecord) -> None:
    """Print a record that no `spica run` reads from the disk: a step on a cluster is known by its log."""
    if where.run and OWNER_VARIABLE not in os.environ:
        # One write: a step's log mixes the writes of several processes.
        sys.stdout.write(f"{RECORD_MARK}{record.model_dump_json(exclude_defaults=True)}\n")
        sys.stdout.flush()


def _perform(
    task: str, module: str, slice: str, where: Place, inputs: Mapping[str, Any]
) -> tuple[Outcome, Artifact]:
    stage = importlib.import_module(module)
    store = Store.parse(where.store)
    outcome = perform(
        task,
        stage.run,
        parse_slice(task, get_type_hints(stage.run)["slice"], slice),
        {name: open_reference(store, Path(item.path)) for name, item in inputs.items()},
        store,
        make_launcher(where),
        state_folder(),
    )
    return outcome, store.open(outcome.manifest)


def _write_reference(reference: Reference, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(reference.model_dump_json(), encoding="utf-8")


def _record(where: Place, task: str, error: SpicaError) -> None:
    try:
        _tell(where, record_failure(state_folder(), where.run, task, error))
    except OSError as full:
        print(f"{task}: the run's record lacks this fault: {full}", file=sys.stderr)


def _stop(_number: int, _frame: FrameType | None) -> None:
    """Let the stage save what it has (see sft.run), once.

    A terminal's Ctrl-C comes twice, directly and from `spica run`; the second must not break into the saving.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


class _Marked(io.TextIOBase):
    """Standard output whose lines `spica run` tells from those of KFP."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._at_line_start = True

    def write(self, text: str) -> int:
        # Nobody reads any more when `spica run` was killed; that must not break into the saving either.
        with suppress(BrokenPipeError):
            for line in text.splitlines(keepends=True):
                self._stream.write(PROGRESS_MARK + line if self._at_line_start else line)
                self._at_line_start = line.endswith("\n")
            self._stream.flush()
        return len(text)

    def flush(self) -> None:
        with suppress(BrokenPipeError):
            self._stream.flush()


def _die_with(owner: int) -> None:
    """End this process when `owner` is gone, however it went (what was started here has guards).

    The stage may save what it has first, unless it was told to stop before: `owner` then did not wait for it.
    """
    try:
        gone = os.pidfd_open(owner)
    except ProcessLookupError:
        os._exit(137)

    def watch() -> None:
        poll = select.poll()
        poll.register(gone, select.POLLIN)
        poll.poll()
        if signal.getsignal(signal.SIGTERM) is _stop:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(_ORPHAN_GRACE_S)
        os._exit(137)

    threading.Thread(target=watch, name="owner", daemon=True).start()


def run_from_command_line(module: str) -> None:
    """The command-line face of a stage: `python -m spica.STAGE TASK SLICE OUTPUT --input NAME=REFERENCE`."""
    import typer

    def main(
        task: str,
        slice: Annotated[
            Path,
            typer.Argument(
                exists=True,
                dir_okay=False,
                help="JSON: the task's entry in `tasks` of `spica show RECIPE --json`.",
            ),
        ],
        output: Annotated[Path, typer.Argument(help="Where the reference to the result is written.")],
        store: str = "file://.spica/store",
        input: Annotated[list[str] | None, typer.Option(help="NAME=REFERENCE_FILE, repeatable.")] = None,
    ) -> None:
        place = Place(store=store, launcher="local").model_dump_json()
        pairs = [item.partition("=") for item in input or []]
        target = _File(output)
        run_task(
            task, module, slice.read_text(), place, {n: _File(Path(path)) for n, _, path in pairs}, target
        )
        print(json.dumps({"reference": str(output), **target.metadata}))

    typer.run(main)


class _File:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.metadata: dict[str, Any] = {}

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

from pydantic import BaseModel, ConfigDict, ValidationError

from spica.artifacts.disk import disk_faults
from spica.artifacts.manifest import Artifact, Manifest
from spica.artifacts.memo import Outcome, perform
from spica.artifacts.runs import record_failure, record_task
from spica.artifacts.store import Store
from spica.artifacts.workspace import state_folder
from spica.errors import Fault, PrerequisiteError, RecipeError, SpicaError
from spica.launch.contract import Launcher

SliceT = TypeVar("SliceT", bound=BaseModel)
OWNER_VARIABLE = "SPICA_OWNER_PID"
"""Names the process whose death ends the task; set by `spica run`."""
PROGRESS_MARK = "| "
"""Begins each line that a task prints under `spica run`."""
_ORPHAN_GRACE_S = 45.0  # a training job gets 30 s to save, and its saving may begin with the end of a step


class Place(BaseModel):
    """Where a run keeps its artifacts and starts heavy things; never a part of a cache key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    store: str
    launcher: str
    run: str = ""
    """Run id, for the run's own record; empty outside of `spica run`."""


class Reference(BaseModel):
    """What one task hands to the next: the name of an artifact and the digest it must have."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    key: str
    digest: str


def make_launcher(name: str) -> Launcher:
    """The launcher a profile names.

    Raises:
        PrerequisiteError: this installation has no such launcher.
    """
    if name == "local":
        from spica.launch.local import LocalLauncher

        return LocalLauncher(state_folder())
    raise PrerequisiteError(
        Fault(
            "profile: launcher", name, "local", "choose a profile whose launcher is local, such as `laptop`"
        )
    )


def open_reference(store: Store, path: Path) -> Artifact:
    """The artifact that a reference file names, checked against the digest in it.

    Raises:
        PrerequisiteError: the store no longer holds it.
        IntegrityError: its bytes differ from its manifest.
    """
    try:
        reference = Reference.model_validate_json(path.read_text())
    except (OSError, ValidationError) as error:
        found = "no file" if isinstance(error, FileNotFoundError) else "no reference"
        advice = "name the file that an earlier task wrote as its OUTPUT"
        raise PrerequisiteError(Fault(str(path), found, "a reference: task, key, digest", advice)) from None
    manifest = store.find(reference.task, reference.key)
    if manifest is None or manifest.digest != reference.digest:
        found = "no artifact" if manifest is None else f"digest {manifest.digest[:16]}"
        where = f"{reference.task}/{reference.key[:16]}"
        advice = "run the pipeline again: it makes what is missing"
        raise PrerequisiteError(Fault(where, found, f"digest {reference.digest[:16]}", advice))
    return store.open(manifest)


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
        outcome = _perform(task, module, slice, where, inputs)
        manifest = outcome.manifest
        with disk_faults(Path(output.path)):
            _write_reference(manifest, Path(output.path))
            record_task(state_folder(), where.run, manifest)
        output.metadata.update({"kind": manifest.kind, "digest": manifest.digest, **manifest.metrics})
    except SpicaError as error:
        print(f"{task}: {error}", file=sys.stderr)
        _record(where.run, task, error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception:
        traceback.print_exc()
        last = traceback.format_exc(limit=-3).strip()
        fault = Fault(task, last, "an error that Spica names", "please report it with the run's log")
        _record(where.run, task, SpicaError(fault))
        sys.exit(1)
    how = "unchanged, from the store" if outcome.cached else f"done in {outcome.wall_s:.0f} s"
    print(f"{task}: {how} ({manifest.digest[:12]})", flush=True)


def _perform(task: str, module: str, slice: str, where: Place, inputs: Mapping[str, Any]) -> Outcome:
    stage = importlib.import_module(module)
    store = Store.parse(where.store)
    return perform(
        task,
        stage.run,
        parse_slice(task, get_type_hints(stage.run)["slice"], slice),
        {name: open_reference(store, Path(item.path)) for name, item in inputs.items()},
        store,
        make_launcher(where.launcher),
        state_folder(),
    )


def _write_reference(manifest: Manifest, path: Path) -> None:
    reference = Reference(task=manifest.task, key=manifest.key, digest=manifest.digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(reference.model_dump_json())


def _record(run: str, task: str, error: SpicaError) -> None:
    try:
        record_failure(state_folder(), run, task, error)
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
        launcher: str = "local",
        input: Annotated[list[str] | None, typer.Option(help="NAME=REFERENCE_FILE, repeatable.")] = None,
    ) -> None:
        place = Place(store=store, launcher=launcher).model_dump_json()
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

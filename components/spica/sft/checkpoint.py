"""Training checkpoints: fp32 weights and AdamW moments as safetensors, progress as JSON, a manifest last.

    checkpoints/step-00000156/weights-00000.safetensors ... trained parameters, fp32, by name
                              moments-00000.safetensors ... NAME.exp_avg, NAME.exp_avg_sq
                              progress.json                 Progress
                              *.jsonl                       the logs up to this step
                              manifest.json                 size and SHA-256 of all of these

Whole tensors by name, no pickle: a checkpoint does not know how many ranks wrote it, and any number may
resume. Folders appear by rename, so a torn one is never seen; one that is altered on any node is passed over
by all for the one before it; one that a node lacks is fetched again.
"""

import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from deepspeed import comm
from deepspeed.runtime.zero import GatheredParameters
from deepspeed.utils import (
    safe_get_full_fp32_param,
    safe_get_full_optimizer_state,
    safe_set_full_fp32_param,
    safe_set_full_optimizer_state,
)
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from spica.artifacts.disk import sync_folder
from spica.artifacts.types import FileEntry
from spica.errors import Fault, IntegrityError
from spica.sft.engine import MOMENTS, Engine

SHARD_BYTES = 2**31
KEPT = 2
"""Newest checkpoints kept, besides the best one."""
MAX_STEP = 99_999_999
_FILES = TypeAdapter(list[FileEntry])

logger = logging.getLogger("spica.sft")


class Progress(BaseModel):
    """How far a training is; everything else follows from the recipe, the data and the seed."""

    model_config = ConfigDict(extra="forbid")

    step: int = 0
    """Optimizer steps done."""
    tokens: int = 0
    """Tokens of the samples trained on."""
    best_step: int = 0
    """Step of the epoch with the lowest validation loss (the later one of equals)."""
    best_loss: float | None = None


def save(engine: Engine, folder: Path, progress: Progress, logs: Sequence[Path]) -> None:
    """Write a checkpoint under `folder`; all ranks call it, rank 0 writes."""
    writes = comm.get_rank() == 0
    final = folder / name(progress.step)
    part = folder / f".part-{final.name}"
    try:
        if writes:
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
        for prefix, tensors in (("weights", _weights(engine)), ("moments", _moments(engine))):
            _write_shards(part, prefix, tensors, writes)
        if writes:
            _finish(part, progress, logs)
    except BaseException:
        if writes:  # on a full disk, what says so needs the room
            shutil.rmtree(part, ignore_errors=True)
        raise
    if writes:
        shutil.rmtree(final, ignore_errors=True)
        os.replace(part, final)
        sync_folder(folder)
        _prune(folder, progress)
    comm.barrier()


@contextmanager
def system_errors() -> Iterator[None]:
    """Raise the OSError that safetensors' writer hides in the text of its own error."""
    try:
        yield
    except SafetensorError as error:
        number = re.search(r"\(os error (\d+)\)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1]))) from error


class BehindError(Exception):
    """A node began before the newest checkpoint had reached it: all ranks end, to begin with it."""


def agree(folder: Path, device: torch.device) -> int:
    """Step of the newest checkpoint that is whole on every node, 0 without one; all ranks call it.

    The first rank of each node reads the bytes that its node has. Newer checkpoints go: whoever writes them
    again must find nothing in their place, and pruning must not take them for the newest.

    Raises:
        BehindError: on all ranks, when all that a node has is older than what another one has whole.
    """
    reads = os.environ["LOCAL_RANK"] == "0"
    at_most, step = MAX_STEP, newest(folder, MAX_STEP) if reads else 0
    _refuse_behind(step, max(map(_step, _steps(folder)), default=0) if reads else MAX_STEP, device)
    while True:
        # The largest and, negated, the smallest of the nodes' steps; ranks that read nothing change neither.
        sides = torch.tensor([step, -step if reads else -at_most], device=device)
        comm.all_reduce(sides, op=comm.ReduceOp.MAX)
        highest, lowest = int(sides[0].item()), -int(sides[1].item())
        if highest == lowest:
            break
        at_most = lowest
        if reads and step > at_most:
            step = newest(folder, at_most)
    if reads:
        for path in _steps(folder):
            if _step(path) > highest:
                shutil.rmtree(path)
    comm.barrier()
    return highest


def _refuse_behind(step: int, latest: int, device: torch.device) -> None:
    """`latest`: step of the newest checkpoint that this node has, altered or not."""
    sides = torch.tensor([step, -latest], device=device)
    comm.all_reduce(sides, op=comm.ReduceOp.MAX)
    highest, least = int(sides[0].item()), -int(sides[1].item())
    if least < highest:
        raise BehindError(f"a node has nothing after step {least}, another one step {highest}: fetch again")


def newest(folder: Path, at_most: int) -> int:
    """Step of the newest checkpoint, up to `at_most`, whose bytes are those of its manifest; 0 without one.

    Warns about any that is passed over.
    """
    for path in reversed(_steps(folder)):
        if _step(path) > at_most:
            continue
        fault = _fault(path)
        if fault is None:
            return _step(path)
        logger.warning("%s: %s; the checkpoint before it is used", path.name, fault)
    return 0


def load(engine: Engine, path: Path) -> Progress:
    """Set weights and optimizer state of `engine`; all ranks call it and read the same files."""
    progress = Progress.model_validate_json((path / "progress.json").read_bytes())
    for state in engine.adamw.state.values():
        state["step"].fill_(progress.step)
    with ExitStack() as stack:
        shards = _open_shards(path, "weights", stack) | _open_shards(path, "moments", stack)
        for name, parameter in engine.trained.items():
            value = shards[name].get_tensor(name).to(engine.device)
            moments = {key: shards[f"{name}.{key}"].get_tensor(f"{name}.{key}") for key in MOMENTS}
            if engine.stage == 0:
                parameter.data.copy_(value)
                for key in MOMENTS:
                    engine.adamw.state[parameter][key].copy_(moments[key])
                continue
            safe_set_full_fp32_param(parameter, value)
            for key in MOMENTS:
                safe_set_full_optimizer_state(parameter, moments[key].to(engine.device), key)
            with GatheredParameters([parameter], modifier_rank=0, enabled=engine.stage == 3):
                parameter.data.copy_(value.to(parameter.dtype))
    return progress


def read_weights(path: Path) -> Iterator[tuple[str, Tensor]]:
    """Yield the trained parameters, one at a time."""
    with ExitStack() as stack:
        for name, shard in _open_shards(path, "weights", stack).items():
            yield name, shard.get_tensor(name)


def name(step: int) -> str:
    """Folder of the checkpoint after `step`."""
    return f"step-{step:08d}"


def _steps(folder: Path) -> list[Path]:
    """The folders of checkpoints, oldest first."""
    return sorted(folder.glob(f"step-{'[0-9]' * 8}"))


def _step(path: Path) -> int:
    return int(path.name.removeprefix("step-"))


def _open_shards(path: Path, prefix: str, stack: ExitStack) -> dict[str, Any]:
    """Which open shard holds the tensor of which name; tensors are read one by one, a model may be huge."""
    shards = [stack.enter_context(safe_open(p, "pt")) for p in sorted(path.glob(f"{prefix}-*.safetensors"))]
    return {name: shard for shard in shards for name in shard.keys()}


def _weights(engine: Engine) -> Iterator[tuple[str, Tensor]]:
    for name, parameter in engine.trained.items():
        yield name, parameter.data if engine.stage == 0 else safe_get_full_fp32_param(parameter)


def _moments(engine: Engine) -> Iterator[tuple[str, Tensor]]:
    for name, parameter in engine.trained.items():
        for key in MOMENTS:
            whole = engine.stage == 0
            state: Any = (
                engine.adamw.state[parameter][key] if whole else safe_get_full_optimizer_state(parameter, key)
            )
            yield f"{name}.{key}", state


def _write_shards(folder: Path, prefix: str, tensors: Iterator[tuple[str, Tensor]], writes: bool) -> None:
    shard: dict[str, Tensor] = {}
    index = 0
    for name, tensor in tensors:
        if not writes:
            continue
        shard[name] = tensor.detach().to("cpu", copy=True).contiguous()
        if sum(t.nbytes for t in shard.values()) >= SHARD_BYTES:
            save_file(shard, folder / f"{prefix}-{index:05d}.safetensors")
            shard, index = {}, index + 1
    if writes and shard:
        save_file(shard, folder / f"{prefix}-{index:05d}.safetensors")


def _finish(part: Path, progress: Progress, logs: Sequence[Path]) -> None:
    for log in logs:
        shutil.copyfile(log, part / log.name)
    (part / "progress.json").write_text(progress.model_dump_json())
    entries = [_entry(path) for path in sorted(part.iterdir())]
    (part / "manifest.json").write_bytes(_FILES.dump_json(entries))
    for path in part.iterdir():
        _sync(path)
    sync_folder(part)


def _entry(path: Path) -> FileEntry:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileEntry(path=path.name, size=path.stat().st_size, sha256=digest)


def verify(path: Path, trained: Iterable[str]) -> None:
    """Check a checkpoint before it is exported.

    Raises:
        IntegrityError: its bytes are not those of its manifest, or its parameters are not those `trained`.
    """
    fault, allowed = _fault(path), "the bytes that were saved"
    if fault is None:
        with ExitStack() as stack:
            differing = sorted(set(trained) ^ _open_shards(path, "weights", stack).keys())
        if not differing:
            return
        fault, allowed = f"{', '.join(differing[:5])} saved or trained alone", "each trained parameter once"
    advice = f"remove {path.parent} and run again: the training starts anew"
    raise IntegrityError(Fault(str(path), fault, allowed, advice))


def _fault(path: Path) -> str | None:
    try:
        entries = _FILES.validate_json((path / "manifest.json").read_bytes())
        for entry in entries:
            if _entry(path / entry.path) != entry:
                return f"{entry.path} differs from its manifest"
    except (OSError, ValidationError, json.JSONDecodeError, SafetensorError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def _prune(folder: Path, progress: Progress) -> None:
    kept = {path.name for path in _steps(folder)[-KEPT:]} | {name(progress.best_step)}
    for path in folder.iterdir():
        if path.name not in kept:
            shutil.rmtree(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

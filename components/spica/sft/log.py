"""What a training writes down: metrics and batches that resume with it, times apart, a progress line.

scratch/metrics.jsonl   a row per step and per validation; no times: equal runs, equal bytes; published
scratch/batches.jsonl   a row per step and rank: the sample ids of each of its packs; published
scratch/times.jsonl     seconds per step; never published
scratch/tensorboard/    events while it runs; those published are made from metrics.jsonl, step as time

Rank 0 writes for all: every rank knows the whole plan. A checkpoint holds a copy of the three logs, and a
resumed training starts from that copy, so its log ends at the step of its weights.
"""

import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from spica.artifacts.disk import atomic_file

PROGRESS_S = 5.0
"""Seconds between progress lines (the promise is one at least every 10)."""
METRICS, BATCHES, TIMES = LOGS = ("metrics.jsonl", "batches.jsonl", "times.jsonl")
CURVES = ("loss", "val_loss", "lr", "grad_norm")


class EventFile:
    """TensorBoard scalars."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = RecordWriter(path.open("wb"))
        self._write(Event(wall_time=0.0, file_version="brain.Event:2"))

    def add(self, step: int, row: dict[str, Any], wall_time: float) -> None:
        """Write the curves that `row` holds."""
        values = [Summary.Value(tag=f"sft/{tag}", simple_value=row[tag]) for tag in CURVES if tag in row]
        self._write(Event(wall_time=wall_time, step=step, summary=Summary(value=values)))

    def _write(self, event: Event) -> None:
        self._writer.write(event.SerializeToString())
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class StepLog:
    """The log of a training: rank 0 writes, the others do nothing."""

    def __init__(
        self, scratch: Path, rank: int, name: str, num_steps: int, resumed: int, checkpoint: Path | None
    ) -> None:
        """Start from the logs in `checkpoint`, that of the step `resumed`; from nothing without one."""
        self._name, self._num_steps, self._is_main = name, num_steps, rank == 0
        self._files: dict[str, TextIO] = {}
        if self._is_main:
            self._files = {log: _open(scratch / log, checkpoint) for log in LOGS}
            self._events = EventFile(scratch / "tensorboard" / f"events.out.tfevents.{resumed:08d}.spica")
        self._started = self._printed = time.monotonic()
        self._first, self._tokens = resumed, 0

    def batch(self, step: int, epoch: int, ranks: Sequence[Sequence[Sequence[str]]]) -> None:
        """The samples that each rank trains on, pack by pack."""
        for rank, packs in enumerate(ranks):
            self._write(BATCHES, {"step": step, "epoch": epoch, "rank": rank, "packs": packs})

    def row(self, row: dict[str, Any], step_s: float) -> None:
        """One row of metrics."""
        self._write(METRICS, row)
        self._write(TIMES, {"step": row["step"], "step_s": round(step_s, 4)})
        if self._is_main:
            self._events.add(row["step"], row, time.time())

    def _write(self, log: str, row: dict[str, Any]) -> None:
        if self._is_main:
            self._files[log].write(json.dumps(row) + "\n")

    def progress(self, row: dict[str, Any], epochs: int, tokens: int) -> None:
        """Count a step's tokens; print a line when it is time for one."""
        self._tokens += tokens
        now = time.monotonic()
        done = row["step"] - self._first
        if not self._is_main or (now - self._printed < PROGRESS_S and row["step"] != self._num_steps):
            return
        self._printed = now
        spent = now - self._started
        left = spent / done * (self._num_steps - row["step"])
        say(
            f"{self._name} step {row['step']}/{self._num_steps} epoch {row['epoch']}/{epochs} "
            f"loss {row['loss']:.4f} lr {row['lr']:.2e} {self._tokens / spent:,.0f} tokens/s ETA {left:.0f} s"
        )

    def close(self) -> None:
        for file in self._files.values():
            file.close()
        if self._is_main:
            self._events.close()


def say(line: str) -> None:
    """Print one line of progress at once."""
    print(line, flush=True)


def publish_logs(scratch: Path, out: Path) -> None:
    """Write metrics, batches and TensorBoard events of a finished training under `out`."""
    for log in (METRICS, BATCHES):
        shutil.copyfile(scratch / log, out / log)
    events = EventFile(out / "tensorboard" / "events.out.tfevents.0.spica")
    for line in (out / METRICS).read_text().splitlines():
        row = json.loads(line)
        events.add(row["step"], row, float(row["step"]))
    events.close()


def _open(path: Path, checkpoint: Path | None) -> TextIO:
    """Open for appending what `checkpoint` holds of this log; line-buffered, so a copy has every row."""
    with atomic_file(path) as file:
        if checkpoint is not None:
            file.write((checkpoint / path.name).read_bytes())
    return path.open("a", buffering=1)

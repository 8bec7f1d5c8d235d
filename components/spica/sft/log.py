"""What a training writes down: metrics and batches that resume with it, times apart, a progress line.

scratch/metrics.jsonl     a row per step and per validation; no times: equal runs, equal bytes; published
scratch/batches-R.jsonl   the sample ids of each step and pack of rank R; published joined, as batches.jsonl
scratch/times.jsonl       seconds per step; never published
scratch/tensorboard/      events while it runs; those published are made from metrics.jsonl, step as time
"""

import json
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

PROGRESS_S = 5.0
"""Seconds between progress lines (the promise is one at least every 10)."""
METRICS = "metrics.jsonl"
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
    """The log of one rank; rows after the step a training resumes from are dropped when it opens."""

    def __init__(self, scratch: Path, rank: int, name: str, num_steps: int, resumed: int) -> None:
        self._name, self._num_steps, self._is_main = name, num_steps, rank == 0
        self._batches = _reopen(scratch / f"batches-{rank:04d}.jsonl", resumed)
        self._metrics: TextIO | None = None
        if self._is_main:
            self._metrics = _reopen(scratch / METRICS, resumed)
            self._times = _reopen(scratch / "times.jsonl", resumed)
            self._events = EventFile(scratch / "tensorboard" / f"events.out.tfevents.{resumed:08d}.spica")
        self._started = self._printed = time.monotonic()
        self._first, self._tokens = resumed, 0

    def batch(self, step: int, epoch: int, packs: Sequence[Sequence[str]]) -> None:
        """The samples that this rank trained on."""
        self._batches.write(json.dumps({"step": step, "epoch": epoch, "packs": packs}) + "\n")

    def row(self, row: dict[str, Any], step_s: float) -> None:
        """One row of metrics; rank 0 writes."""
        if self._metrics is None:
            return
        self._metrics.write(json.dumps(row) + "\n")
        self._times.write(json.dumps({"step": row["step"], "step_s": round(step_s, 4)}) + "\n")
        self._events.add(row["step"], row, time.time())

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

    def sync(self) -> None:
        """Bring everything to disk, before a checkpoint that counts on it."""
        for file in (self._batches, self._metrics):
            if file is not None:
                file.flush()
                os.fsync(file.fileno())
        if self._is_main:
            self._times.flush()

    def close(self) -> None:
        self.sync()
        self._batches.close()
        if self._metrics is not None:
            self._metrics.close()
            self._times.close()
            self._events.close()


def say(line: str) -> None:
    """Print one line of progress at once."""
    print(line, flush=True)


def rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a log; a torn last line is left out."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]


def publish_logs(scratch: Path, out: Path) -> None:
    """Write metrics, batches and TensorBoard events of a finished training under `out`."""
    metrics = rows(scratch / METRICS)
    _write(out / METRICS, metrics)
    batches = [
        {"step": row["step"], "epoch": row["epoch"], "rank": rank, "packs": row["packs"]}
        for rank, path in enumerate(sorted(scratch.glob("batches-*.jsonl")))
        for row in rows(path)
    ]
    _write(out / "batches.jsonl", sorted(batches, key=lambda row: (row["step"], row["rank"])))
    events = EventFile(out / "tensorboard" / "events.out.tfevents.0.spica")
    for row in metrics:
        events.add(row["step"], row, float(row["step"]))
    events.close()


def _write(path: Path, lines: Iterable[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def _reopen(path: Path, resumed: int) -> TextIO:
    """Open for appending, without what was logged after the step `resumed`."""
    _write(path, [row for row in rows(path) if row["step"] <= resumed])
    return path.open("a", buffering=1)

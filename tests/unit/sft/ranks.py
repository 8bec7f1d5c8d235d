"""Starts the trainer on real ranks, as the launcher does, and ends it in unfriendly ways."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from spica.launch.contract import Training as Job
from spica.recipe.slices import SftSlice

# Two gloo ranks, also on a machine with GPUs.
ON_CPUS = {"DS_ACCELERATOR": "cpu", "CUDA_VISIBLE_DEVICES": ""}


def torchrun(num_ranks: int, environment: Mapping[str, str], *command: str) -> subprocess.Popen[bytes]:
    """`torchrun -m command` on this machine; its output goes to the test's."""
    module = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1"]
    return subprocess.Popen(
        [*module, "--nproc-per-node", str(num_ranks), *command],
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
    )


@dataclass(frozen=True)
class Training:
    """One training and where it writes."""

    recipe: SftSlice
    student: Path
    data: Sequence[Path]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=lambda: ON_CPUS)

    @property
    def inputs(self) -> dict[str, Path]:
        return {"student": self.student, **{f"data-{n}": path for n, path in enumerate(self.data)}}

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def scratch(self) -> Path:
        return self.folder / "scratch"

    def elsewhere(self, folder: Path) -> "Training":
        """The same training in another folder."""
        return replace(self, folder=folder)

    def start(self, *module: str) -> subprocess.Popen[bytes]:
        self.out.mkdir(parents=True, exist_ok=True)
        self.scratch.mkdir(parents=True, exist_ok=True)
        (self.folder / "slice.json").write_text(self.recipe.model_dump_json())
        return torchrun(
            self.recipe.scale.ranks_per_node,
            self.environment,
            *(module or ("-m", "spica.sft.train")),
            *Job.arguments(self.folder / "slice.json", self.inputs, self.out, self.scratch),
        )

    def stop_in(self, step: int) -> int:
        """Run until torchrun gets SIGTERM during `step`; return the exit code."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SPICA_TEST_STOP", str(step))
            return self.start(str(Path(__file__).parent / "stopped.py")).wait(300)

    def run(self) -> int:
        return self.start().wait(300)

    def run_until(self, step: int, end: Callable[[subprocess.Popen[bytes]], None]) -> int:
        """Start, end it as soon as rank 0 has logged `step`, return the exit code."""
        process = self.start()
        log = self.scratch / "metrics.jsonl"
        while process.poll() is None and not (log.exists() and log.read_text().count('"grad_norm"') >= step):
            time.sleep(0.01)
        end(process)
        return process.wait(60)

    def files(self) -> dict[str, bytes]:
        """Every published file and its bytes."""
        return {str(p.relative_to(self.out)): p.read_bytes() for p in self.out.rglob("*") if p.is_file()}


def kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to torchrun and all ranks at once."""
    everyone = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for one in everyone:
        one.kill()


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]

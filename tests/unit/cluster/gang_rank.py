"""One rank of a training, started by torchrun in the tests; the slice says how it ends."""

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

parser = argparse.ArgumentParser()
for option in ("--slice", "--out", "--scratch"):
    parser.add_argument(option, type=Path)
arguments = parser.parse_args()
rank, scratch, mode = os.environ["RANK"], arguments.scratch, arguments.slice.read_text()
checkpoints = scratch / "checkpoints"


def save(number: int, frame: FrameType | None) -> None:
    folder = checkpoints / "step-00000007"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"weights-{rank}").write_text(rank)
    (folder / "manifest.json").write_text("[]")
    (scratch / "preempted.json").write_text("{}")
    os._exit(143)


print(f"rank {rank} of {os.environ['WORLD_SIZE']}", flush=True)
if mode == "waits":
    signal.signal(signal.SIGTERM, save)
    print("at work", flush=True)
    while True:
        time.sleep(0.05)
if mode == "crashes":
    raise ValueError(f"row {os.getpid()} is odd")
if mode == "loses a peer":
    raise RuntimeError("[pair.cc:534] Connection closed by peer [10.0.0.2]:1234")
if mode == "refuses":
    fault = {"where": "row 3", "found": "nothing", "allowed": "text", "next": "give one"}
    (scratch / "error.json").write_text(json.dumps({"type": "DataError", "faults": [fault]}))
    sys.exit(1)
if rank == "0":
    steps = sorted(path.name for path in checkpoints.glob("*"))
    (arguments.out / "model.bin").write_text(f"from {steps}")
    (scratch / "result.json").write_text("{}")

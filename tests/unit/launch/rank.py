"""One rank of a training job, started by torchrun in the tests: says who it is, then waits for SIGTERM."""

import argparse
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
rank, folder, mode = os.environ["RANK"], arguments.scratch, arguments.slice.read_text()


def finish(number: int, frame: FrameType | None) -> None:
    (folder / f"saved-{rank}").touch()
    if mode == "saves":
        sys.exit(0)


signal.signal(signal.SIGTERM, finish)
print(f"rank {rank} of {os.environ['WORLD_SIZE']}, threads {os.environ['OMP_NUM_THREADS']}", flush=True)
(folder / f"pid-{rank}").write_text(str(os.getpid()))
while mode != "ends":
    time.sleep(0.1)

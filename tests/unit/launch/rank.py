"""One rank of a training job, started by torchrun in the tests: says who it is, then waits for SIGTERM."""

import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

rank, folder, mode = os.environ["RANK"], Path(sys.argv[1]), sys.argv[2]


def finish(number: int, frame: FrameType | None) -> None:
    (folder / f"saved-{rank}").touch()
    if mode == "saves":
        sys.exit(0)


signal.signal(signal.SIGTERM, finish)
print(f"rank {rank} of {os.environ['WORLD_SIZE']}, threads {os.environ['OMP_NUM_THREADS']}", flush=True)
(folder / f"pid-{rank}").write_text(str(os.getpid()))
while mode != "ends":
    time.sleep(0.1)

"""Run on every rank: each is a node with checkpoints of its own, and all agree, case by case."""

import argparse
import json
import os
from pathlib import Path

import torch
from deepspeed import comm

from spica.sft import checkpoint
from spica.sft.engine import init_distributed

parser = argparse.ArgumentParser()
parser.add_argument("cases", type=Path)
parser.add_argument("output", type=Path)
args = parser.parse_args()
init_distributed()
os.environ["LOCAL_RANK"] = "0"
rank = comm.get_rank()
steps: dict[str, int | None] = {}
for case in sorted(args.cases.iterdir()):
    try:
        steps[case.name] = checkpoint.agree(case / f"node-{rank}", torch.device("cpu"))
    except checkpoint.BehindError:
        steps[case.name] = None
(args.output / f"node-{rank}.json").write_text(json.dumps(steps))
comm.barrier()
os._exit(0)

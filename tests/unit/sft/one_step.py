"""Run on every rank: the first step of a training up to its gradients, which rank 0 writes down."""

import argparse
import json
from pathlib import Path

import torch
from deepspeed import comm
from deepspeed.utils import safe_get_full_grad
from safetensors.torch import save_file

from spica.recipe.slices import SftSlice
from spica.sft.engine import init_distributed
from spica.sft.pack import epoch_batches
from spica.sft.trainer import Trainer

parser = argparse.ArgumentParser()
for name in ("slice", "out", "scratch"):
    parser.add_argument(f"--{name}", type=Path, required=True)
parser.add_argument("--input", action="append")
args = parser.parse_args()
inputs = {name: Path(path) for name, path in (item.split("=", 1) for item in args.input)}
recipe = SftSlice.model_validate_json(args.slice.read_bytes())
torch.set_num_threads(1)
init_distributed()
trainer = Trainer(recipe, inputs["student"], [inputs["data-0"]], args.scratch)
num_forwards = 0


def count_forward(*_: object) -> None:
    global num_forwards
    num_forwards += 1


trainer.engine.deepspeed.module.model.language_model.layers[0].self_attn.register_forward_hook(count_forward)


def write_gradients() -> float:
    """Stands in for the optimizer's update."""
    gradients = {name: safe_get_full_grad(p).clone() for name, p in trainer.engine.trained.items()}
    if trainer.rank == 0:
        save_file(gradients, args.out / "gradients.safetensors")
    return 0.0


trainer.engine._update = write_gradients  # type: ignore[method-assign]
batch = epoch_batches(len(trainer.train), recipe.sft.batch_size, recipe.seed, 0)[0]
trainer._step(1, [trainer.train[index] for index in batch])
trainer.log.close()
if trainer.rank == 0:
    row = json.loads((args.scratch / "metrics.jsonl").read_text())
    (args.out / "loss.json").write_text(json.dumps(row["loss"]))
    (args.out / "num_forwards.json").write_text(json.dumps(num_forwards))
comm.barrier()

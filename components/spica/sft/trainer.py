"""The training loop: all ranks decide alike from the same inputs and meet in all-reduces."""

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from deepspeed import comm
from transformers import Qwen2VLProcessor

from spica.artifacts.rows import write_jsonl
from spica.errors import DataError, Fault, RecipeError
from spica.recipe.slices import SftSlice
from spica.sft import checkpoint, preemption
from spica.sft.checkpoint import Progress
from spica.sft.collate import Pack, collate
from spica.sft.data import Encoder, Refused, Sample, read_rows
from spica.sft.engine import Engine, init_distributed, learning_rate, load_student
from spica.sft.export import export
from spica.sft.log import LOGS, StepLog, publish_logs, say
from spica.sft.pack import Plan, epoch_batches, plan_step, sample_costs
from spica.sft.pictures import Pictures
from spica.sft.preemption import Preempted, write_last


class Trainer:
    """One rank's view of one training."""

    def __init__(self, recipe: SftSlice, student: Path, data: Sequence[Path], scratch: Path) -> None:
        """Load the student, encode the rows, resume from the newest whole checkpoint."""
        self.recipe, self.scratch = recipe, scratch
        self.rank, self.num_ranks = comm.get_rank(), comm.get_world_size()
        if recipe.sft.batch_size % self.num_ranks:
            raise RecipeError(
                Fault(
                    "sft.batch_size",
                    f"{recipe.sft.batch_size} samples per step over {self.num_ranks} ranks",
                    "a multiple of the number of ranks",
                    "change ranks_per_node or num_nodes in the profile",
                )
            )
        dtype = torch.bfloat16 if recipe.scale.precision == "bf16" else torch.float32
        loaded = load_student(student, dtype, recipe.sft.freeze)
        self.refused: list[Refused] = []
        self._encode(student, loaded.model, data, dtype)
        self.hidden_size = int(loaded.model.config.get_text_config().hidden_size)
        self.engine = Engine(loaded, recipe.sft, recipe.scale)
        self.steps_per_epoch = len(self.train) // recipe.sft.batch_size
        self.num_steps = self.steps_per_epoch * recipe.sft.epochs
        self.checkpoints = scratch / "checkpoints"
        newest = checkpoint.agree(self.checkpoints, self.engine.device)
        saved = self.checkpoints / checkpoint.name(newest) if newest else None
        self.progress = checkpoint.load(self.engine, saved) if saved is not None else Progress()
        step, name = self.progress.step, f"sft {recipe.arm}"
        self.log = StepLog(scratch, self.rank, name, self.num_steps, step, saved)
        if self.rank == 0 and step:
            say(f"{name} goes on from step {step}/{self.num_steps}")

    def run(self) -> None:
        """Train what is left. Raises Preempted after SIGTERM, DataError when a loss is no number."""
        while self.progress.step < self.num_steps:
            epoch, first = divmod(self.progress.step, self.steps_per_epoch)
            batches = epoch_batches(len(self.train), self.recipe.sft.batch_size, self.recipe.seed, epoch)
            for batch in batches[first:]:
                self._step(epoch + 1, [self.train[index] for index in batch])
                if self._any_terminated:
                    # Stopped at an epoch's last step, the epoch must still be validated: it may be the best.
                    if self.progress.step % self.steps_per_epoch:
                        self._save()
                    else:
                        self._end_epoch(epoch + 1)
                    raise Preempted
            self._end_epoch(epoch + 1)

    def _step(self, epoch: int, batch: list[Sample]) -> None:
        started = time.monotonic()
        step, sft = self.progress.step + 1, self.recipe.sft
        plan = self._plan(batch)
        packs = self._packs(batch, plan[self.rank])

        def agree(total: float) -> float:
            everyone = torch.tensor(
                [total, float(preemption.is_requested())], dtype=torch.float64, device=self.engine.device
            )
            comm.all_reduce(everyone)
            total, terminated = everyone.tolist()
            self._any_terminated = terminated > 0
            self._refuse_nan(total, "loss", step, batch)
            return float(total)

        lr = learning_rate(step, self.num_steps, sft)
        result = self.engine.step(packs, sft.batch_size, lr, agree)
        self._refuse_nan(result.grad_norm, "gradient norm", step, batch)
        tokens = sum(len(sample.tokens) for sample in batch)
        self.progress.step, self.progress.tokens = step, self.progress.tokens + tokens
        row = {"step": step, "epoch": epoch, "loss": result.loss, "lr": lr, "grad_norm": result.grad_norm}
        self.log.batch(step, epoch, [[[batch[i].id for i in pack] for pack in rank] for rank in plan])
        self.log.row(row | {"tokens": tokens, "samples": len(batch)}, time.monotonic() - started)
        self.log.progress(row, sft.epochs, tokens)

    @staticmethod
    def _refuse_nan(value: float, what: str, step: int, batch: list[Sample]) -> None:
        if not math.isfinite(value):
            ids = ", ".join(sample.id for sample in batch)
            raise DataError(
                Fault(
                    f"sft step {step}",
                    f"{what} {value} on the batch {ids}",
                    "a finite number",
                    "look at these rows, or lower sft.learning_rate; the checkpoint before this step is kept",
                )
            )

    def _plan(self, batch: list[Sample]) -> Plan:
        lengths = np.array([len(sample.tokens) for sample in batch], dtype=np.int64)
        costs = sample_costs(lengths, self.hidden_size)
        return plan_step(lengths, costs, self.num_ranks, self.recipe.scale.pack_tokens)

    def _packs(
        self, batch: list[Sample], packs: Sequence[Sequence[int]], factors: Sequence[float] | None = None
    ) -> list[Pack]:
        return [
            collate(
                [batch[i] for i in pack],
                self.pictures.patches,
                self.pictures.grid,
                self.engine.device,
                [factors[i] for i in pack] if factors is not None else None,
            )
            for pack in packs
        ]

    def _end_epoch(self, epoch: int) -> None:
        """Validate, note the best epoch, save."""
        started = time.monotonic()
        loss = self._validate() if self.val else None
        best = self.progress.best_loss
        if loss is None or best is None or loss <= best:
            self.progress.best_step, self.progress.best_loss = self.progress.step, loss
        if loss is not None:
            row = {"step": self.progress.step, "epoch": epoch, "val_loss": loss, "samples": len(self.val)}
            self.log.row(row, time.monotonic() - started)
        self._save()
        if self.rank == 0:
            shown = "" if loss is None else f", validation loss {loss:.4f}"
            say(f"sft {self.recipe.arm} epoch {epoch}/{self.recipe.sft.epochs} done{shown}, saved")

    @torch.no_grad()
    def _validate(self) -> float:
        """Mean loss of the validation rows; repeats that fill up the ranks do not count."""
        missing = -len(self.val) % self.num_ranks
        batch = self.val + [self.val[0]] * missing
        packs = self._packs(batch, self._plan(batch)[self.rank], [1.0] * len(self.val) + [0.0] * missing)
        self.engine.deepspeed.eval()
        total = torch.zeros(1, dtype=torch.float64, device=self.engine.device)
        for pack in packs:
            total += self.engine.loss_sum(pack).double()
        self.engine.deepspeed.train()
        comm.all_reduce(total)
        return float(total.item()) / len(self.val)

    def _save(self) -> None:
        logs = [self.scratch / log for log in LOGS]
        checkpoint.save(self.engine, self.checkpoints, self.progress, logs)

    def _encode(self, student: Path, model: Any, data: Sequence[Path], dtype: torch.dtype) -> None:
        processor = Qwen2VLProcessor.from_pretrained(student)
        processor.image_processor.size = {
            "shortest_edge": self.recipe.min_pixels,
            "longest_edge": self.recipe.max_pixels,
        }
        self.pictures = Pictures(processor.image_processor, dtype)
        encoder = Encoder(processor, model.model.get_rope_index, self.pictures, self.recipe.sft.cutoff_len)
        parts: dict[str, list[Sample]] = {"train.json": [], "val.json": []}
        for file, samples in parts.items():
            for folder in data:
                encoded = encoder.encode(read_rows(folder, file), folder, file)
                samples.extend(encoded.samples)
                self.refused.extend(encoded.refused)
        self.train, self.val = parts["train.json"], parts["val.json"]
        if len(self.train) < self.recipe.sft.batch_size:
            reasons = "".join(f"; {row.id}: {row.reason}" for row in self.refused[:3])
            raise DataError(
                Fault(
                    "sft train.json",
                    f"{len(self.train)} usable rows, {len(self.refused)} refused{reasons}",
                    f"at least one batch of {self.recipe.sft.batch_size}",
                    "give more rows, raise sft.cutoff_len where rows are too long, or lower sft.batch_size",
                )
            )
        if self.rank == 0:
            refused = f", {len(self.refused)} refused" if self.refused else ""
            say(f"sft {self.recipe.arm}: {len(self.train)} rows, {len(self.val)} to validate{refused}")


def train(recipe: SftSlice, student: Path, data: Sequence[Path], out: Path, scratch: Path) -> None:
    """Train, export the best epoch's weights, write result.json last."""
    torch.set_num_threads(recipe.scale.threads_per_rank)
    torch.manual_seed(recipe.seed)
    init_distributed()
    trainer = Trainer(recipe, student, data, scratch)
    preemption.save_on_sigterm()
    trainer.run()
    trainer.log.close()
    comm.barrier()
    if trainer.rank == 0:
        progress = trainer.progress
        best = trainer.checkpoints / checkpoint.name(progress.best_step)
        checkpoint.verify(best, trainer.engine.trained)
        export(student, checkpoint.read_weights(best), out)
        publish_logs(scratch, out)
        write_jsonl(out / "refused.jsonl", trainer.refused)
        result = progress.model_dump() | {
            "num_samples": len(trainer.train),
            "num_val": len(trainer.val),
            "num_refused": len(trainer.refused),
        }
        write_last(scratch / "result.json", result)
    comm.barrier()

"""The trainer's step, packed against one sample at a time: tokens/s, MFU, peak memory.

    torchrun --standalone --nproc-per-node 1 -m tests.gpu.bench_sft --shape 2b --folder F
    torchrun --standalone --nproc-per-node 1 -m tests.gpu.bench_sft --shape 2b --folder F --pictures

Random weights, random tokens, lengths from a lognormal law; the seed is drawn at run time and printed. No
time is printed unless a packed sample has the logits that it has alone, and all steps have the same loss and
gradient norm (the learning rate is 0: they start from the same weights). Then both ways are timed in turn,
A B B A, five rounds, medians.

FLOPs are those that a step must do, 3 forward passes of the decoder and 1 of the frozen vision tower; what
gradient checkpointing computes again does not count:

    decoder   3 * (2 * weights * tokens + 2 * width * words * labels + layers * sum(2 * width * length^2))
    tower     2 * weights * patches + layers * sum(4 * width * patches^2)
"""

import argparse
import os
import time
import warnings
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch
from deepspeed import comm
from deepspeed.accelerator import get_accelerator
from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

from spica.recipe.slices import SftSlice
from spica.sft.collate import Pack, collate
from spica.sft.data import Sample
from spica.sft.engine import Engine, StepResult, init_distributed, load_student
from spica.sft.pack import Plan, plan_step, sample_costs

PEAK_FLOPS = 989e12
"""Dense bf16 of one H100 or H200 SXM (NVIDIA's datasheets)."""
GRID = (1, 36, 36)
"""Patches of each picture: 504 x 504 pixels, 324 tokens."""
NUM_ROUNDS = 5
MAX_LEAK = 0.05
MAX_LOSS_ERROR, MAX_NORM_ERROR = 1e-3, 2e-2

IMAGE, VISION_START, VISION_END = 3, 1, 2
SHAPES: dict[str, dict[str, Any]] = {
    "2b": {  # config.json of Qwen/Qwen2-VL-2B-Instruct
        "text": {"vocab_size": 151936, "hidden_size": 1536, "intermediate_size": 8960,
                 "num_hidden_layers": 28, "num_attention_heads": 12, "num_key_value_heads": 2,
                 "mrope_section": [16, 24, 24]},
        "vision": {"depth": 32, "embed_dim": 1280, "hidden_size": 1536, "num_heads": 16},
        "batch_size": 32, "mean_len": 4096, "max_len": 16384, "pack_tokens": 16384,
    },
    "tiny": {  # to try this file on CPUs
        "text": {"vocab_size": 512, "hidden_size": 64, "intermediate_size": 192, "num_hidden_layers": 2,
                 "num_attention_heads": 4, "num_key_value_heads": 2, "mrope_section": [2, 3, 3]},
        "vision": {"depth": 2, "embed_dim": 32, "hidden_size": 64, "num_heads": 2},
        "batch_size": 8, "mean_len": 512, "max_len": 1024, "pack_tokens": 4096,
    },
}  # fmt: skip


def write_random(shape: dict[str, Any], folder: Path) -> None:
    text = dict(shape["text"])
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": text.pop("mrope_section")}
    config = Qwen2VLConfig(
        text_config=text | {"rope_parameters": rope, "tie_word_embeddings": True, "initializer_range": 0.05},
        vision_config=shape["vision"],
        image_token_id=IMAGE, vision_start_token_id=VISION_START, vision_end_token_id=VISION_END,
        tie_word_embeddings=True,
    )  # fmt: skip
    torch.manual_seed(0)
    Qwen2VLForConditionalGeneration(config).to(torch.bfloat16).save_pretrained(folder)


def make_slice(shape: dict[str, Any]) -> SftSlice:
    """What the recipes train with; the learning rate is given to each step."""
    sft = {
        "freeze": "llm_only", "epochs": 1, "batch_size": shape["batch_size"], "cutoff_len": shape["max_len"],
        "learning_rate": 1e-5, "schedule": "cosine", "min_lr_ratio": 0.0, "warmup_ratio": 0.1,
        "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0, "max_grad_norm": 1.0,
    }  # fmt: skip
    scale = {
        "num_nodes": 1, "ranks_per_node": comm.get_world_size(), "threads_per_rank": 1, "precision": "bf16",
        "zero_stage": 3, "pack_tokens": shape["pack_tokens"], "gradient_checkpointing": True,
    }  # fmt: skip
    return SftSlice.model_validate(
        {"seed": 0, "arm": "D_T", "sft": sft, "min_pixels": 784, "max_pixels": 262144, "scale": scale}
    )


def draw_seed(device: torch.device) -> int:
    """One seed for all ranks, another one at each run."""
    seed = torch.tensor([time.time_ns() % 2**31], device=device)
    comm.broadcast(seed, 0)
    return int(seed.item())


def make_samples(shape: dict[str, Any], seed: int, pictures: bool, model: Any) -> list[Sample]:
    """Every second sample shows a picture, or none does; the last three quarters of a sample are labels."""
    rng = np.random.default_rng(seed)
    sigma = 0.7
    lengths = np.exp(rng.normal(np.log(shape["mean_len"]) - sigma**2 / 2, sigma, shape["batch_size"]))
    samples = []
    for index, length in enumerate(
        np.clip(lengths, 2 * GRID[1] * GRID[2] // 4, shape["max_len"]).astype(int)
    ):
        tokens = rng.integers(8, shape["text"]["vocab_size"], length)
        positions = np.broadcast_to(np.arange(length), (3, length))
        shown: tuple[Path, ...] = ()
        if pictures and index % 2:
            shown, num = (Path("picture"),), GRID[1] * GRID[2] // 4
            tokens[: num + 2] = [VISION_START, *[IMAGE] * num, VISION_END]
            positions = model.get_rope_index(
                input_ids=torch.from_numpy(tokens)[None],
                mm_token_type_ids=torch.from_numpy((tokens == IMAGE).astype(np.int32))[None],
                image_grid_thw=torch.tensor([GRID]),
            )[0][:, 0].numpy()
        is_label = np.arange(length) >= (GRID[1] * GRID[2] // 4 + 2 if shown else length // 4)
        samples.append(Sample(f"s{index}", tokens, is_label, positions, shown))
    return samples


def step_flops(shape: dict[str, Any], samples: list[Sample], model: Any, tower: Any) -> float:
    text, vision = shape["text"], shape["vision"]
    lengths = np.array([len(sample.tokens) for sample in samples], dtype=np.float64)
    decoder = sum(p.numel() for p in model.model.language_model.layers.parameters() if p.ndim > 1)
    attention = text["num_hidden_layers"] * 2 * text["hidden_size"] * (lengths**2).sum()
    head = 2 * text["hidden_size"] * text["vocab_size"] * sum(sample.num_labels for sample in samples)
    num_pictures, patches = sum(len(sample.pictures) for sample in samples), GRID[1] * GRID[2]
    per_picture = 2 * sum(p.numel() for p in tower.blocks.parameters() if p.ndim > 1) * patches
    per_picture += vision["depth"] * 4 * vision["embed_dim"] * patches**2
    return float(3 * (2 * decoder * lengths.sum() + attention + head) + num_pictures * per_picture)


class Run(NamedTuple):
    result: StepResult
    seconds: float
    peak_gib: float
    """Of the GPU's memory."""


class Bench:
    def __init__(self, engine: Engine, samples: list[Sample]) -> None:
        self.engine, self.samples = engine, samples
        self.patches = torch.randn(GRID[1] * GRID[2], 3 * 2 * 14 * 14, dtype=torch.bfloat16)

    def step(self, plan: Plan) -> Run:
        """One step as the trainer makes it."""
        device = self.engine.device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        comm.barrier()
        started = time.monotonic()
        packs = [self._collate(pack) for pack in plan[comm.get_rank()]]
        result = self.engine.step(packs, len(self.samples), 0.0, self._sum_over_ranks)
        if device.type == "cuda":
            torch.cuda.synchronize()
        comm.barrier()
        peak = torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else float("nan")
        return Run(result, time.monotonic() - started, peak)

    @torch.no_grad()
    def leak(self, plan: Plan) -> float:
        """How far the logits of a pack's last sample are from those that it has alone, relative to these.

        The losses of random weights would not tell: they hardly depend on what a token attends to.
        """
        pack = plan[comm.get_rank()][0]
        last = self.samples[pack[-1]]
        together, alone = (
            self.engine.deepspeed(**self._collate(of).model_inputs()).logits[0, -last.num_labels :].float()
            for of in (pack, pack[-1:])
        )
        return float((together - alone).norm() / alone.norm())

    def _collate(self, pack: tuple[int, ...]) -> Pack:
        samples = [self.samples[i] for i in pack]
        return collate(samples, lambda _: self.patches, lambda _: GRID, self.engine.device)

    def _sum_over_ranks(self, value: float) -> float:
        total = torch.tensor([value], dtype=torch.float64, device=self.engine.device)
        comm.all_reduce(total)
        return float(total.item())


def measure(bench: Bench, plans: dict[str, Plan]) -> dict[str, list[Run]]:
    """Time both plans in turn, two rounds of warm-up first.

    Raises:
        SystemExit: their work is not the same.
    """
    runs: dict[str, list[Run]] = {way: [] for way in plans}
    expected: StepResult | None = None
    for number in range(2 + 2 * NUM_ROUNDS):
        for way in list(plans) if number % 2 else list(reversed(plans)):
            run = bench.step(plans[way])
            expected = expected or run.result
            found = (run.result.loss / expected.loss, run.result.grad_norm / expected.grad_norm)
            if not (abs(found[0] - 1) <= MAX_LOSS_ERROR and abs(found[1] - 1) <= MAX_NORM_ERROR):
                raise SystemExit(f"{way}: {run.result}, at first {expected}: no times from unequal work")
            if number >= 2:
                runs[way].append(run)
    return runs


def matmul_flops() -> float:
    """FLOP/s of a large bf16 product of random matrices on this GPU."""
    a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    for num in (3, 30):
        torch.cuda.synchronize()
        started = time.monotonic()
        for _ in range(num):
            a @ b
        torch.cuda.synchronize()
    return 30 * 2 * 8192**3 / (time.monotonic() - started)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=sorted(SHAPES), required=True)
    parser.add_argument("--folder", type=Path, required=True, help="where the random checkpoint goes")
    parser.add_argument("--pictures", action="store_true", help="every second sample shows one")
    args = parser.parse_args()
    shape = SHAPES[args.shape]
    init_distributed()
    get_accelerator().set_device(int(os.environ["LOCAL_RANK"]))
    device = torch.device(get_accelerator().current_device_name())
    recipe, num_ranks = make_slice(shape), comm.get_world_size()
    if comm.get_rank() == 0:
        write_random(shape, args.folder)
    comm.barrier()
    student = load_student(args.folder, torch.bfloat16, "llm_only")
    seed = draw_seed(device)
    samples = make_samples(shape, seed, args.pictures, student.model.model)
    flops = step_flops(shape, samples, student.model, student.tower) / num_ranks
    lengths = np.array([len(sample.tokens) for sample in samples], dtype=np.int64)
    costs = sample_costs(lengths, shape["text"]["hidden_size"])
    packed = plan_step(lengths, costs, num_ranks, shape["pack_tokens"])
    alone = plan_step(lengths, costs, num_ranks, 1)
    plans = {"packed": packed, "one by one": alone}
    bench = Bench(Engine(student, recipe.sft, recipe.scale), samples)
    leak = bench.leak(packed)
    if not leak <= MAX_LEAK:
        raise SystemExit(f"packed logits differ by {leak:.3f}: a sample sees its neighbours")
    runs = measure(bench, plans)
    if comm.get_rank():
        return
    print(f"seed {seed}, {num_ranks} ranks, {len(samples)} samples, {lengths.sum()} tokens")
    print(f"{flops:.3e} FLOP per rank, torch {torch.__version__}, packed logits differ by {leak:.1e}")
    roof = matmul_flops() if torch.cuda.is_available() else None
    for way, timed in runs.items():
        seconds = [run.seconds for run in timed]
        middle = median(seconds)
        line = f"{way}: {len(plans[way][0])} packs, loss {timed[0].result.loss:.5f}, {middle:.3f} s"
        line += f" ({min(seconds):.3f}-{max(seconds):.3f}), {lengths.sum() / middle:,.0f} tokens/s"
        if roof is not None:
            rate = flops / middle
            line += f", MFU {rate / PEAK_FLOPS:.3f}, {rate / roof:.3f} of matmul's {roof / 1e12:.0f} TFLOP/s"
            line += f", peak {timed[0].peak_gib:.1f} GiB"
        print(line)


if __name__ == "__main__":
    warnings.filterwarnings("ignore", module=r"deepspeed\.|torch\.distributed")
    main()

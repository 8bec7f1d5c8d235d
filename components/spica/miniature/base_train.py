"""Training the base from nothing: the schedule of the mixture, the loop, the gates and the saved folder."""

import logging
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import GenerationConfig

from spica.miniature.base_batches import TARGETS, Batch, CellAtlas, Sample, collate
from spica.miniature.base_data import (
    conversation,
    fact_document,
    lookup_document,
    option_document,
    read_document,
)
from spica.miniature.base_model import build_model, encode_pictures
from spica.miniature.pictures import HELDOUT_FONTS, TRAIN_FONTS
from spica.miniature.tokenizer import IM_END, PAD, build_processor, vocabulary
from spica.miniature.world import Modality
from spica.recipe.miniature_base import BaseSize

_LOG = logging.getLogger("spica.miniature.base")

NUM_STEPS = 2800
LEARNING_RATE = 1.5e-3
WARMUP_STEPS = 100
WEIGHT_DECAY = 0.05
NUM_VARIANTS = 24
Draw = Callable[[np.random.Generator, int, Modality], Sample]


def train(size: BaseSize, seed: int, num_steps: int) -> Any:
    """Trains a fresh model on the CPU; the same seed and number of threads give the same weights."""
    rng, model = np.random.default_rng(seed), build_model(seed, size)
    print(f"training a {size} base, seed {seed}: {num_steps} steps", flush=True)
    atlas = CellAtlas(rng, TRAIN_FONTS, NUM_VARIANTS)
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.98), fused=True)
    right: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    started, num_tokens = time.process_time(), 0
    model.train()
    for step in range(num_steps):
        for group in optimizer.param_groups:
            group["lr"] = _learning_rate(step, num_steps)
        batch, name = _draw_batch(rng, atlas, step / num_steps)
        with torch.autocast("cpu", torch.bfloat16):
            losses, correct, kinds = _score(model, batch)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(losses.mean())
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        num_tokens += batch.ids.numel()
        for i, kind in enumerate(TARGETS):
            asked[f"{kind}/{name}"] += int((kinds == i).sum())
            right[f"{kind}/{name}"] += int(correct[kinds == i].sum())
        if (step + 1) % 100 == 0:
            accuracy = " ".join(f"{k} {right[k] / n:.3f}" for k, n in sorted(asked.items()) if n)
            seconds = time.process_time() - started
            rate = num_tokens / seconds
            print(f"base: step {step + 1}/{num_steps}, {seconds:.0f} s of CPU", flush=True)
            _LOG.info("%.0f tokens/s | %s", rate, accuracy)
            right.clear()
            asked.clear()
    return model.eval()


def _learning_rate(step: int, num_steps: int) -> float:
    done = step / num_steps
    return LEARNING_RATE * min(1.0, (step + 1) / WARMUP_STEPS, max(0.05, (1 - done) / 0.55))


def _draw_batch(rng: np.random.Generator, atlas: CellAtlas, done: float) -> tuple[Batch, str]:
    """A batch of the mixture at the fraction `done` of the run, and its name for the progress line.

    Facts and single glyphs come first, then few entries, then many: in any other order lookups are hardly
    learned, and differences late. The share of chats grows slowly: an abrupt change wipes out what was
    learned.
    """
    num_cells = int(rng.choice(_sizes(done)))
    if rng.random() < 0.5 * min(1.0, max(0.0, (done - 0.08) / 0.4)):
        modality: Modality = rng.choice(["text", "visual", "both"], p=[0.45, 0.45, 0.10])
        samples = [conversation(rng, max(2, num_cells), modality) for _ in range(24)]
        return collate(samples, rng, atlas), f"chat.{modality}"
    shares = [0.3, 0.0, 0.7, 0.0] if done < 0.08 else [0.36, 0.34, 0.15, 0.15]
    kind = rng.choice(["lookup", "read", "fact", "option"], p=shares)
    if kind == "fact":
        return collate([fact_document(rng) for _ in range(32)], rng, atlas), kind
    if kind == "option":
        return collate([option_document(rng) for _ in range(64)], rng, atlas), kind
    modality = rng.choice(["text", "visual", "both"], p=[0.35, 0.55, 0.10])
    document = lookup_document if kind == "lookup" else read_document
    samples = [
        document(rng, num_cells, modality) for _ in range(192 if num_cells == 1 else 384 // (num_cells + 4))
    ]
    return collate(samples, rng, atlas), f"{kind}{num_cells}.{modality}"


def _sizes(done: float) -> tuple[int, ...]:
    if done < 0.08:
        return (1,)
    if done < 0.14:
        return 1, 2, 2, 4
    if done < 0.25:
        return 2, 4, 4, 8, 8
    return 4, 6, 7, 8, 8, 8, 8, 8


def _score(model: Any, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Losses, greedy hits and kinds of all target tokens of a batch, each [num_targets]."""
    embedded = model.get_input_embeddings()(batch.ids)
    if batch.pixels is not None:
        rows, columns = batch.grid
        seen = encode_pictures(model, batch.pixels, rows, columns).to(embedded.dtype)
        start, end = batch.image_start, batch.image_start + rows * columns
        embedded = torch.cat([embedded[:, :start], seen, embedded[:, end:]], 1)
    output = model.model.language_model(inputs_embeds=embedded, position_ids=batch.positions, use_cache=False)
    wanted = batch.targets[:, 1:] >= 0
    logits = model.lm_head(output.last_hidden_state[:, :-1][wanted]).float()
    tokens = batch.ids[:, 1:][wanted]
    losses = F.cross_entropy(logits, tokens, reduction="none")
    return losses, logits.detach().argmax(-1) == tokens, batch.targets[:, 1:][wanted]


@torch.no_grad()
def measure(model: Any, seed: int) -> dict[str, float]:
    """Teacher-forced accuracy of the skills on fresh scenes of 8 entries and fresh pictures."""
    rng, accuracy = np.random.default_rng([seed, 1]), {}
    train_cells, heldout = (CellAtlas(rng, fonts, 4) for fonts in (TRAIN_FONTS, HELDOUT_FONTS))
    plans: list[tuple[str, Callable[[], Sample], CellAtlas]] = [
        ("fact", lambda: fact_document(rng), train_cells),
        ("letter", lambda: option_document(rng), train_cells),
        ("read/text", lambda: conversation(rng, 8, "text"), train_cells),
        ("read/visual", lambda: conversation(rng, 8, "visual"), train_cells),
        ("read/both", lambda: conversation(rng, 8, "both"), train_cells),
        ("read/heldout", lambda: conversation(rng, 8, "visual"), heldout),
    ]
    for name, draw, atlas in plans:
        _, correct, kinds = _score(model, collate([draw() for _ in range(400)], rng, atlas))
        for kind in ("fact", "letter") if "/" not in name else ("read", "copy"):
            if bool((kinds == TARGETS.index(kind)).any()) and kind in (name.split("/")[0], "copy"):
                key = name.replace("read", kind)
                accuracy[key] = float(correct[kinds == TARGETS.index(kind)].float().mean())
    return accuracy


def save(model: Any, out: Path, card: str) -> None:
    """Writes a bf16 Hugging Face folder: weights, tokenizer, processor, generation settings, model card."""
    vocab = vocabulary()
    make: Any = GenerationConfig
    model.generation_config = make(eos_token_id=vocab[IM_END], pad_token_id=vocab[PAD])
    model.to(torch.bfloat16).save_pretrained(out)
    build_processor().save_pretrained(out)
    (out / "README.md").write_text(card)
    (out / "model.safetensors").chmod(0o644)

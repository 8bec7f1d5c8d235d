"""The model under DeepSpeed's engine: what trains, how it is spread, one optimizer step."""

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import deepspeed
import torch
from deepspeed import comm
from torch import Tensor, nn
from transformers import Qwen2VLForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutputWithPooling

from spica.errors import DataError, Fault, RecipeError
from spica.recipe.schema import Sft
from spica.recipe.slices import SftScale
from spica.sft.attention import NAME as ATTENTION
from spica.sft.collate import Pack
from spica.sft.loss import token_losses

MOMENTS = ("exp_avg", "exp_avg_sq")
"""AdamW's state per trained element."""

logging.getLogger("DeepSpeed").setLevel(logging.WARNING)


class StepResult(NamedTuple):
    loss: float
    """Mean over the step's samples of the token mean over each sample's labels."""
    grad_norm: float
    """Norm of all trained gradients, before clipping."""


def init_distributed() -> None:
    """Join the process group: NCCL where there is CUDA, gloo elsewhere."""
    # Serves inference only, and would be compiled by g++ for a minute at the first start.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.init_distributed("nccl" if torch.cuda.is_available() else "gloo", verbose=False)


class Student(NamedTuple):
    """A checkpoint made ready to train."""

    model: Qwen2VLForConditionalGeneration
    """What DeepSpeed spreads; without its vision tower where that is frozen as a whole."""
    tower: nn.Module | None
    """The frozen vision tower, whole on every rank: it runs only where a pack shows a picture, and ranks that
    partition weights (ZeRO-3) must all run the same modules."""


def load_student(
    folder: Path, dtype: torch.dtype, freeze: Literal["llm_only", "llm+merger", "all"]
) -> Student:
    """Load the checkpoint in `folder` and set `requires_grad` by the freeze mode.

    llm_only freezes everything under `visual`, the merger included (the authors' LLaMA-Factory yaml);
    llm+merger trains the merger too (the paper's text); all trains everything.

    Raises:
        DataError: the weights are those of another model; transformers would make up what is missing.
    """
    # Its annotation knows nothing of output_loading_info.
    load: Any = Qwen2VLForConditionalGeneration.from_pretrained
    model, loaded = load(folder, dtype=dtype, attn_implementation=ATTENTION, output_loading_info=True)
    for fate in ("missing", "unexpected"):
        if names := sorted(loaded[f"{fate}_keys"]):
            found = f"{len(names)} {fate} weights: {', '.join(names)[:200]}"
            advice = "give a checkpoint of Qwen2VLForConditionalGeneration that is whole"
            raise DataError(
                Fault("input student", found, "the weights that its config.json asks for", advice)
            )
    for name, parameter in model.named_parameters():
        visual = ".visual." in f".{name}"
        merger = ".visual.merger." in f".{name}"
        parameter.requires_grad_(freeze == "all" or not visual or (merger and freeze == "llm+merger"))
    model.train()
    if freeze != "llm_only":
        return Student(model, None)
    tower = model.model.visual
    del model.model.visual
    return Student(model, tower)


def learning_rate(step: int, num_steps: int, sft: Sft) -> float:
    """Learning rate of `step` (1-based): warm-up over ceil(ratio * num_steps), then down to the minimum."""
    num_warmup = math.ceil(sft.warmup_ratio * num_steps)
    if step <= num_warmup:
        return sft.learning_rate * step / num_warmup
    done = (step - num_warmup) / max(1, num_steps - num_warmup)
    share = 1.0 - done if sft.schedule == "linear" else 0.5 * (1.0 + math.cos(math.pi * done))
    return sft.learning_rate * (sft.min_lr_ratio + (1.0 - sft.min_lr_ratio) * share)


def loss_sum(model: nn.Module, tower: nn.Module | None, pack: Pack) -> Tensor:
    """Sum over the pack's samples of the token mean of each; scalar float32."""
    inputs = pack.model_inputs()
    if pack.pixel_values is not None and tower is None:
        inputs |= {"pixel_values": pack.pixel_values, "image_grid_thw": pack.grids}
    elif pack.pixel_values is not None and tower is not None:
        with torch.no_grad():
            features = tower(pack.pixel_values, grid_thw=pack.grids).pooler_output
        per_picture: Any = (features,)  # the model concatenates them
        inputs["mm_encoder_outputs"] = {"image": BaseModelOutputWithPooling(pooler_output=per_picture)}
    logits = model(**inputs).logits[0]
    return (token_losses(logits, pack.labels) * pack.weights).sum()


class Engine:
    """A student under DeepSpeed; every rank makes the same calls."""

    def __init__(self, student: Student, sft: Sft, scale: SftScale) -> None:
        """Spread `student` over the ranks of the process group.

        Raises:
            RecipeError: a combination that DeepSpeed cannot run.
        """
        if scale.zero_stage == 0 and scale.precision == "bf16":
            raise RecipeError(
                Fault(
                    "profiles.*.zero_stage",
                    "0 with precision bf16 (no sharded fp32 master weights to save)",
                    "1, 2 or 3 with bf16; 0 with fp32",
                    "set zero_stage: 1",
                )
            )
        if scale.zero_stage == 3 and student.tower is None:
            raise RecipeError(
                Fault(
                    "profiles.*.zero_stage",
                    f"3 with sft.freeze: {sft.freeze} (ranks without a picture would not join its gathers)",
                    "3 with llm_only; 0, 1 or 2 with every freeze mode",
                    "set zero_stage: 2 or sft.freeze: llm_only",
                )
            )
        model = student.model
        if scale.gradient_checkpointing:
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        self.stage = scale.zero_stage
        self.max_grad_norm = sft.max_grad_norm
        self.trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self._trained_visual = [p for name, p in self.trained.items() if ".visual." in f".{name}"]
        self.adamw = torch.optim.AdamW(
            _decay_groups(self.trained.values(), sft.weight_decay),
            lr=sft.learning_rate,
            betas=sft.betas,
            eps=sft.eps,
            fused=True,
        )
        self.deepspeed, *_ = deepspeed.initialize(
            model=model,
            optimizer=self.adamw,
            config=_config(sft, scale, sum(p.numel() for p in model.parameters())),
            dist_init_required=False,
        )
        self.device = torch.device(self.deepspeed.device)
        # Stage 0 and the BF16 optimizer reduce once, at the boundary. Stage 3 reduces at every pack, so that
        # no rank ever holds all gradients; its ranks run the same modules on the same number of packs.
        self._coalesces = self.stage == 2 or (self.stage == 1 and scale.precision == "fp32")
        self._make_moments()
        self.tower = student.tower.to(self.device) if student.tower is not None else None

    def _make_moments(self) -> None:
        """Make the state that AdamW would make at its first step.

        So it can be loaded into; and DeepSpeed 0.19.8 links it to the parameters after the step of the first
        parameter group, when that of the second would not be there yet.
        """
        optimizer = self.deepspeed.optimizer
        flat = [p for group in self.adamw.param_groups for p in group["params"]]
        for parameter in optimizer.fp32_partitioned_groups_flat if self.stage == 3 else flat:
            moments = {key: torch.zeros_like(parameter, requires_grad=False) for key in MOMENTS}
            self.adamw.state[parameter] = {"step": torch.zeros((), device=parameter.device), **moments}
        if self.stage in (1, 2):
            optimizer._lazy_init_hp_params_optimizer_state()

    def loss_sum(self, pack: Pack) -> Tensor:
        """Sum of the pack's sample losses; what DeepSpeed hooks runs alike on all ranks."""
        return loss_sum(self.deepspeed, self.tower, pack)

    def step(
        self, packs: Sequence[Pack], batch_size: int, lr: float, agree: Callable[[float], float]
    ) -> StepResult:
        """One optimizer step over this rank's packs of a batch of `batch_size` samples over all ranks.

        `agree` takes this rank's sum of sample losses after the backward passes and returns that of all
        ranks; it may raise on all ranks, and nothing has changed then.
        """
        factor = comm.get_world_size() / batch_size  # DeepSpeed averages over ranks; a pack's loss is a sum
        total = torch.zeros(
            (), dtype=torch.float64, device=self.device
        )  # read once: a read waits for the GPU
        with self._reduced_once():
            for index, pack in enumerate(packs):
                if not self._coalesces:
                    self.deepspeed.set_gradient_accumulation_boundary(index == len(packs) - 1)
                loss = self.loss_sum(pack)
                total += loss.detach()
                if pack.pixel_values is None and self._trained_visual:
                    # Every rank reduces the same gradients, picture or not.
                    loss = loss + 0.0 * torch.stack([p.sum() for p in self._trained_visual]).sum()
                self.deepspeed.backward(loss * factor, scale_wrt_gas=False)
        batch_loss = agree(total.item()) / batch_size
        for group in self.adamw.param_groups:
            group["lr"] = lr
        grad_norm = self._update()
        return StepResult(batch_loss, grad_norm)

    @contextmanager
    def _reduced_once(self) -> Iterator[None]:
        """ZeRO-1 and 2: reduce after the last pack, in one fixed order, whatever pictures a rank has."""
        if not self._coalesces:
            yield
            return
        self.deepspeed.set_gradient_accumulation_boundary(True)
        with self.deepspeed.coalesce_grad_reduction():
            yield

    def _update(self) -> float:
        if self.stage == 0:
            norm = nn.utils.clip_grad_norm_(self.trained.values(), self.max_grad_norm)
            self.deepspeed.step()
            return float(norm)
        self.deepspeed.step()
        return float(self.deepspeed.get_global_grad_norm())


def _decay_groups(parameters: Iterable[nn.Parameter], weight_decay: float) -> list[dict[str, Any]]:
    """Weight decay on matrices only: biases and norms, all one-dimensional, go without (as in HF Trainer).

    A parameter that no sample reaches (the merger, by text alone) decays all the same: DeepSpeed's flat
    partitions hold zeros for a missing gradient; ZeRO-0 gets them from `step`. The authors' decay is 0.
    """
    trained = list(parameters)
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]


def _config(sft: Sft, scale: SftScale, num_parameters: int) -> dict[str, Any]:
    """DeepSpeed's configuration; the boundary of a step is set by hand, so accumulation stays 1 here."""
    zero: dict[str, Any] = {
        "stage": scale.zero_stage,
        "overlap_comm": torch.cuda.is_available(),
        "contiguous_gradients": True,
        "reduce_bucket_size": min(500_000_000, num_parameters),
    }
    config: dict[str, Any] = {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        # Stage 0 clips in `Engine._update`, which also reports the norm.
        "gradient_clipping": sft.max_grad_norm if scale.zero_stage else 0.0,
        "zero_optimization": zero,
        "steps_per_print": None,
    }
    if scale.precision == "bf16":
        config |= {"bf16": {"enabled": True}, "data_types": {"grad_accum_dtype": "fp32"}}
    return config

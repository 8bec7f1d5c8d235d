"""What each stage sees of a recipe: its slice and nothing else. A slice is a part of the stage's key."""

from typing import Literal

from pydantic import Field

from spica.recipe.schema import (
    Arm,
    Benchmark,
    Evaluate,
    Gate,
    Kubernetes,
    Modality,
    Prompt,
    Rollouts,
    Section,
    Selection,
    Serve,
    Sft,
    Source,
    Split,
    Student,
    Teacher,
)

__all__ = ["Arm", "Benchmark", "Modality"]


class Place(Section):
    """Where a run keeps its artifacts and starts heavy things; never a part of a cache key."""

    store: str
    launcher: str
    kubernetes: Kubernetes | None = None
    run: str = ""
    """Run id, for the run's own record; empty outside of a pipeline."""


class StudentSlice(Section):
    """Task `student`: bring the base checkpoint into the store."""

    student: Student


class SourcesSlice(Section):
    """Tasks `text`, `visual`, `held-out`: read foreign rows into Prompts."""

    seed: int
    sources: list[Source]
    """For `held-out`, the benchmarks."""
    dev: list[Source] = Field(default_factory=list)
    """Sources of the dev split, kept apart; only `held-out` has any."""


class RequestScale(Section):
    """How requests are spread; results must not depend on it where the endpoint is deterministic."""

    concurrency: int
    request_timeout_s: float
    max_attempts: int


class ServerScale(Section):
    """How a model server is sized."""

    precision: str
    threads: int
    tensor_parallel: int
    num_servers: int
    kv_cache_gib: int | None
    max_model_len: int
    max_images: int


class DistillSlice(Section):
    """Tasks `distill-d_t` and `distill-d_sd`."""

    seed: int
    prompt: Prompt
    """With the teacher's own prefix, where it has one."""
    teacher: Teacher | None
    """None: serve the input checkpoint named `teacher` (M0) and ask it."""
    rollouts: Rollouts
    base_prompt: Literal["official", "prefix"] | None = None
    """How the input `base` is asked; None where the difficulty does not need its answers."""
    requests: RequestScale
    server: ServerScale


class DatasetSlice(Section):
    """Tasks `dataset-d_t`, `dataset-d_sd`, `dataset-control`."""

    seed: int
    prompt: Prompt
    dataset: Split
    selection: Selection = Field(default_factory=Selection)
    """Of the section `text` or `visual`. The control set has that of D_T; lengths there are those of the
    thoughts that it leaves out."""
    response: str = Field(pattern="^(thought|answer)$")
    """thought: the kept long response; answer: only the boxed gold answer (the control arm)."""


class SftScale(Section):
    """How training is spread."""

    num_nodes: int
    ranks_per_node: int
    threads_per_rank: int
    precision: str
    zero_stage: int
    pack_tokens: int
    gradient_checkpointing: bool


class SftSlice(Section):
    """Tasks `sft-d_t`, `sft-control`, `sft-d_sd`, `sft-d_t+d_sd`; datasets are the inputs but `student`."""

    seed: int
    arm: Arm
    sft: Sft
    min_pixels: int
    max_pixels: int
    scale: SftScale


class EvaluateSlice(Section):
    """Tasks `evaluate-ARM`: the checkpoint is the input `checkpoint`, the items are `held-out`."""

    seed: int
    arm: Arm
    prompt: Prompt
    evaluate: Evaluate
    requests: RequestScale
    server: ServerScale


class ReportSlice(Section):
    """Task `report`."""

    recipe: str
    seed: int
    profile: str
    arms: tuple[Arm, ...]
    """What this recipe compares; ARM_TASKS names their tasks."""
    headline_repetition_penalty: float
    gates: list[Gate]


class ServeSlice(Section):
    """Task `serve`: ask the best model one question."""

    prompt: Prompt
    serve: Serve
    requests: RequestScale
    server: ServerScale

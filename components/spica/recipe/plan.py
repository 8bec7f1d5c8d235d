"""From a recipe to one slice per task, and the numbers that follow from it."""

import math
from typing import NamedTuple

from spica.errors import Fault, RecipeError
from spica.recipe.arms import comparison, needed_tasks
from spica.recipe.load import Resolved, parse_recipe, under_profile
from spica.recipe.schema import (
    ARM_TASKS,
    M0,
    Arm,
    Recipe,
    Rollouts,
    Scale,
    Section,
    Selection,
    Sft,
    Source,
    Split,
    compared_arms,
)
from spica.recipe.slices import (
    DatasetSlice,
    DistillSlice,
    EvaluateSlice,
    Place,
    ReportSlice,
    RequestScale,
    ServerScale,
    ServeSlice,
    SftScale,
    SftSlice,
    SourcesSlice,
    StudentSlice,
)

# Parameters of the language model (layers, embedding and head; the frozen vision tower is not in it), counted
# from the published config.json.
_LANGUAGE_MODEL = {"Qwen2-VL-7B-Instruct": 7_615_616_512, "Qwen2-VL-72B-Instruct": 72_706_203_648}


class OptimizerSteps(NamedTuple):
    """Steps of one training."""

    per_epoch: int
    total: int
    warmup: int


class Derived(NamedTuple):
    """What follows from a recipe under a profile for one training on `num_rows` rows."""

    num_ranks: int
    """num_nodes x ranks_per_node; on GPU machines the number of GPUs."""
    batch_size: int
    samples_per_rank: float
    """Mean share of one rank in one optimizer step."""
    max_tokens_per_step: int
    """batch_size x cutoff_len."""
    num_rows: int
    steps_per_epoch: int
    rows_left_out: int
    """Rows that one epoch leaves out, others in each epoch."""
    total_steps: int
    warmup_steps: int
    epoch_end_steps: tuple[int, ...]
    """Optimizer step at the end of each epoch, where a checkpoint is written."""
    model_state_gib: float | None
    """MODEL, not measured: weights, gradients and AdamW state of one rank; None for an unknown student."""


def optimizer_steps(sft: Sft, num_rows: int) -> OptimizerSteps:
    """Steps by the remainder rule.

    Every epoch shuffles all rows anew by seed and leaves out the last `num_rows % batch_size` of that order,
    so that every step holds exactly batch_size samples. Warm-up is ceil(ratio x total), as in HF's Trainer.
    """
    per_epoch = num_rows // sft.batch_size
    total = per_epoch * sft.epochs
    return OptimizerSteps(per_epoch, total, math.ceil(total * sft.warmup_ratio))


def num_training_rows(recipe: Recipe) -> dict[Arm, int | None]:
    """Most rows each trained arm can have: num_kept per question, less num_val; None where not stated."""

    def rows(sources: list[Source], rollouts: Rollouts, selection: Selection) -> int | None:
        counts = [source.num_rows for source in sources if source.num_rows is not None]
        if len(counts) < len(sources):
            return selection.num_rows
        most = sum(counts) * rollouts.num_kept - recipe.dataset.num_val
        return most if selection.num_rows is None else min(most, selection.num_rows)

    text = rows(recipe.sources.text, recipe.distill.text, recipe.dataset.text)
    visual = rows(recipe.sources.visual, recipe.distill.visual, recipe.dataset.visual)
    union = None if text is None or visual is None else text + visual
    trained = zip(compared_arms(recipe.distill.visual.teacher)[1:], (text, text, visual, union), strict=True)
    return {arm: most for arm, most in trained if arm in recipe.compared}


def derive(resolved: Resolved, num_rows: int) -> Derived:
    """Numbers of one training on `num_rows` rows."""
    sft, scale = resolved.recipe.sft, resolved.scale
    num_ranks = scale.num_nodes * scale.ranks_per_node
    steps = optimizer_steps(sft, num_rows)
    return Derived(
        num_ranks=num_ranks,
        batch_size=sft.batch_size,
        samples_per_rank=sft.batch_size / num_ranks,
        max_tokens_per_step=sft.batch_size * sft.cutoff_len,
        num_rows=num_rows,
        steps_per_epoch=steps.per_epoch,
        rows_left_out=num_rows % sft.batch_size,
        total_steps=steps.total,
        warmup_steps=steps.warmup,
        epoch_end_steps=tuple(steps.per_epoch * (epoch + 1) for epoch in range(sft.epochs)),
        model_state_gib=_model_state_gib(resolved.recipe.models.student.path, scale, num_ranks),
    )


def _model_state_gib(student: str, scale: Scale, num_ranks: int) -> float | None:
    """Bytes per parameter as in the ZeRO paper (arXiv 1910.02054): 16, of which each stage divides a part."""
    parameters = _LANGUAGE_MODEL.get(student.rstrip("/").rpartition("/")[2].partition("@")[0])
    if parameters is None:
        return None
    weights, gradients, optimizer = (2, 2, 12) if scale.precision == "bf16" else (4, 4, 8)
    parts = ((weights, 3), (gradients, 2), (optimizer, 1))
    per_parameter = sum(size / (num_ranks if scale.zero_stage >= stage else 1) for size, stage in parts)
    return round(parameters * per_parameter / 2**30, 1)


def plan(resolved: Resolved) -> dict[str, Section]:
    """The slice of every task that the recipe's arms need, in the order in which data flows."""
    recipe = resolved.recipe
    tasks: dict[str, Section] = {"student": StudentSlice(student=recipe.models.student)}
    given = recipe.sources
    tasks["text"] = SourcesSlice(seed=recipe.seed, sources=given.text)
    tasks["visual"] = SourcesSlice(seed=recipe.seed, sources=given.visual)
    tasks["held-out"] = SourcesSlice(seed=recipe.seed, sources=given.benchmarks, dev=given.dev)
    arms = compared_arms(recipe.distill.visual.teacher)
    _, control, d_t, visual, union = arms
    tasks["distill-d_t"] = _distill(resolved, recipe.distill.text)
    tasks["dataset-d_t"] = _dataset(recipe, recipe.dataset.text, "thought")
    tasks["dataset-control"] = _dataset(recipe, recipe.dataset.text, "answer")
    tasks["sft-d_t"] = _sft(resolved, d_t)
    tasks["sft-control"] = _sft(resolved, control)
    tasks["distill-d_sd"] = _distill(resolved, recipe.distill.visual)
    tasks["dataset-d_sd"] = _dataset(recipe, recipe.dataset.visual, "thought")
    tasks["sft-d_sd"] = _sft(resolved, visual)
    tasks["sft-d_t+d_sd"] = _sft(resolved, union)
    for arm in recipe.compared:
        tasks[f"evaluate-{ARM_TASKS[arm]}"] = _evaluate(resolved, arm)
    tasks["report"] = ReportSlice(
        recipe=recipe.name,
        seed=recipe.seed,
        profile=resolved.profile,
        arms=recipe.compared,
        headline_repetition_penalty=recipe.evaluate.repetition_penalties[0],
        gates=recipe.gates,
    )
    tasks["serve"] = ServeSlice(
        prompt=recipe.prompt, serve=recipe.serve, requests=_requests(resolved.scale), server=_server(resolved)
    )
    return {task: tasks[task] for task in needed_tasks(recipe.compared)}


def _distill(resolved: Resolved, rollouts: Rollouts) -> DistillSlice:
    recipe = resolved.recipe
    teacher = None if rollouts.teacher == M0 else recipe.models.teachers[rollouts.teacher]
    own_prefix = None if teacher is None else teacher.prefix
    return DistillSlice(
        seed=recipe.seed,
        prompt=recipe.prompt
        if own_prefix is None
        else recipe.prompt.model_copy(update={"prefix": own_prefix}),
        teacher=teacher,
        rollouts=rollouts,
        base_prompt=None if rollouts.difficulty == "random" else recipe.evaluate.prompts.base,
        requests=_requests(resolved.scale),
        server=_server(resolved),
    )


def _dataset(recipe: Recipe, selection: Selection, response: str) -> DatasetSlice:
    split = Split.model_validate(recipe.dataset.model_dump(include=set(Split.model_fields)))
    return DatasetSlice(
        seed=recipe.seed, prompt=recipe.prompt, dataset=split, selection=selection, response=response
    )


def _sft(resolved: Resolved, arm: Arm) -> SftSlice:
    student = resolved.recipe.models.student
    return SftSlice(
        seed=resolved.recipe.seed,
        arm=arm,
        sft=resolved.recipe.sft,
        min_pixels=student.min_pixels,
        max_pixels=student.max_pixels,
        scale=SftScale.model_validate(resolved.scale.model_dump(include=set(SftScale.model_fields))),
    )


def _evaluate(resolved: Resolved, arm: Arm) -> EvaluateSlice:
    return EvaluateSlice(
        seed=resolved.recipe.seed,
        arm=arm,
        prompt=resolved.recipe.prompt,
        evaluate=resolved.recipe.evaluate,
        requests=_requests(resolved.scale),
        server=_server(resolved),
    )


def _requests(scale: Scale) -> RequestScale:
    return RequestScale.model_validate(scale.model_dump(include=set(RequestScale.model_fields)))


def _server(resolved: Resolved) -> ServerScale:
    """Servers run while no training does: they share the node's threads among them."""
    scale, serve = resolved.scale, resolved.recipe.serve
    servers_per_node = math.ceil(scale.num_servers / scale.num_nodes)
    return ServerScale(
        precision=scale.precision,
        threads=max(1, scale.ranks_per_node * scale.threads_per_rank // servers_per_node),
        tensor_parallel=scale.tensor_parallel,
        num_servers=scale.num_servers,
        kv_cache_gib=scale.kv_cache_gib,
        max_model_len=serve.max_model_len,
        max_images=serve.max_images,
    )


class Slices(NamedTuple):
    """Outputs of the pipeline's first step: where things run, then every task's slice, all as JSON.

    The slice of a task that the recipe's arms do not need is empty.
    """

    place: str
    student: str = ""
    text: str = ""
    visual: str = ""
    held_out: str = ""
    distill_d_t: str = ""
    dataset_d_t: str = ""
    dataset_control: str = ""
    sft_d_t: str = ""
    sft_control: str = ""
    distill_d_sd: str = ""
    dataset_d_sd: str = ""
    sft_d_sd: str = ""
    sft_union: str = ""
    evaluate_base: str = ""
    evaluate_control: str = ""
    evaluate_d_t: str = ""
    evaluate_d_sd: str = ""
    evaluate_union: str = ""
    report: str = ""
    serve: str = ""


def slices_as_json(recipe: str, profile: str, run: str, arms: str) -> Slices:
    """Check a recipe's YAML text under a profile and cut it into slices.

    Args:
        recipe: YAML text.
        profile: one of its profiles.
        run: id under which the run is recorded.
        arms: the `comparison` that the pipeline was compiled for.

    Raises:
        RecipeError: carries every fault of the text; or the pipeline compares other arms than the recipe.
    """
    resolved = under_profile(parse_recipe(recipe, "recipe"), profile, "recipe")
    asked = comparison(resolved.recipe.compared)
    if asked != arms:
        raise RecipeError(
            Fault("recipe arms", asked, f"{arms}: what this pipeline compares", "compile or submit it again")
        )
    scale = resolved.scale
    place = Place(store=resolved.store, launcher=scale.launcher, kubernetes=scale.kubernetes, run=run)
    slices = {
        task.replace("d_t+d_sd", "union").replace("-", "_"): slice.model_dump_json()
        for task, slice in plan(resolved).items()
    }
    return Slices(place=place.model_dump_json(), **slices)

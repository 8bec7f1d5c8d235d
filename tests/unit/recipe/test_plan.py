import json
from typing import cast

import pytest

from spica.errors import RecipeError
from spica.recipe.keys import key_variables
from spica.recipe.load import Resolved, parse_recipe, under_profile
from spica.recipe.plan import Derived, derive, num_training_rows, optimizer_steps, plan, slices_as_json
from spica.recipe.slices import (
    DistillSlice,
    Place,
    ReportSlice,
    ServerScale,
    SftScale,
    SftSlice,
    SourcesSlice,
)

ALL = "base control d_t d_sd d_t+d_sd"


@pytest.fixture
def resolved(recipe_text: str) -> Resolved:
    return under_profile(parse_recipe(recipe_text, "r.yaml"), "laptop", "r.yaml")


def test_an_epoch_leaves_the_remainder_out_and_warm_up_rounds_up(resolved: Resolved) -> None:
    assert optimizer_steps(resolved.recipe.sft, 132) == (13, 39, 4)


def test_derived_numbers_of_a_small_recipe(resolved: Resolved) -> None:
    assert derive(resolved, 132) == Derived(
        num_ranks=2,
        batch_size=10,
        samples_per_rank=5.0,
        max_tokens_per_step=5120,
        num_rows=132,
        steps_per_epoch=13,
        rows_left_out=2,
        total_steps=39,
        warmup_steps=4,
        epoch_end_steps=(13, 26, 39),
        model_state_gib=None,
    )


def test_each_arm_trains_on_its_sources_less_the_validation_rows(resolved: Resolved) -> None:
    assert num_training_rows(resolved.recipe) == {"control": 132, "D_T": 132, "D_SD": 36, "D_T+D_SD": 168}


def test_rows_that_no_source_states_are_not_guessed(recipe_text: str) -> None:
    recipe = parse_recipe(recipe_text.replace("llava_onevision, num_rows: 40", "llava_onevision"), "r.yaml")

    assert num_training_rows(recipe) == {"control": 132, "D_T": 132, "D_SD": None, "D_T+D_SD": None}


@pytest.mark.parametrize(
    ("precision", "zero_stage", "gib"),
    [
        # 7,615,616,512 parameters on 2 ranks; bytes per parameter by hand:
        ("fp32", 0, 113.5),  # 4 + 4 + 8 = 16
        ("bf16", 1, 70.9),  # 2 + 2 + 6 = 10
        ("bf16", 2, 63.8),  # 2 + 1 + 6 = 9
        ("bf16", 3, 56.7),  # 1 + 1 + 6 = 8
        ("fp32", 2, 70.9),  # 4 + 2 + 4 = 10
    ],
)
def test_model_state_follows_the_zero_paper(
    recipe_text: str, precision: str, zero_stage: int, gib: float
) -> None:
    text = (
        recipe_text.replace("path: folder", "path: hf://Qwen/Qwen2-VL-7B-Instruct")
        .replace("freeze: llm_only", "freeze: llm_only")
        .replace("precision: fp32", f"precision: {precision}")
        .replace("zero_stage: 0", f"zero_stage: {zero_stage}")
    )

    assert derive(under_profile(parse_recipe(text, "r"), "laptop", "r"), 100).model_state_gib == gib


def test_every_task_of_the_pipeline_has_a_slice_in_data_order(resolved: Resolved) -> None:
    assert list(plan(resolved)) == [
        "student",
        "text",
        "visual",
        "held-out",
        "distill-d_t",
        "dataset-d_t",
        "dataset-control",
        "sft-d_t",
        "sft-control",
        "distill-d_sd",
        "dataset-d_sd",
        "sft-d_sd",
        "sft-d_t+d_sd",
        "evaluate-base",
        "evaluate-control",
        "evaluate-d_t",
        "evaluate-d_sd",
        "evaluate-d_t+d_sd",
        "report",
        "serve",
    ]


def test_benchmarks_and_dev_are_read_by_one_task_and_kept_apart(resolved: Resolved) -> None:
    held_out = plan(resolved)["held-out"]

    assert isinstance(held_out, SourcesSlice)
    assert ([one.name for one in held_out.sources], [one.name for one in held_out.dev]) == (["mmmu"], ["dev"])


def test_the_teacher_samples_d_t_and_the_tuned_student_samples_d_sd(resolved: Resolved) -> None:
    tasks = plan(resolved)
    by_teacher, by_student = tasks["distill-d_t"], tasks["distill-d_sd"]

    assert isinstance(by_teacher, DistillSlice) and isinstance(by_student, DistillSlice)
    assert by_teacher.teacher is not None and by_teacher.teacher.model == "m"
    assert (by_teacher.rollouts.num_rollouts, by_teacher.rollouts.max_tokens) == (2, 16)
    assert by_student.teacher is None
    assert (by_student.rollouts.num_rollouts, by_student.rollouts.max_tokens) == (5, 17)
    assert by_student.base_prompt is None


def under(text: str, *changes: tuple[str, str]) -> Resolved:
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return under_profile(parse_recipe(text, "r.yaml"), "laptop", "r.yaml")


def test_a_recipe_of_two_arms_plans_their_tasks_alone(recipe_text: str, resolved: Resolved) -> None:
    two = under(recipe_text, ("gates:\n", "arms: [D_T, base]\ngates:\n"))
    tasks = plan(two)
    assert list(tasks) == [
        *("student", "text", "held-out", "distill-d_t", "dataset-d_t", "sft-d_t"),
        *("evaluate-base", "evaluate-d_t", "report", "serve"),
    ]
    assert cast(ReportSlice, tasks["report"]).arms == ("base", "D_T")
    assert {task for task in tasks if tasks[task] != plan(resolved)[task]} == {"report"}
    assert num_training_rows(two.recipe) == {"D_T": 132}


def test_a_task_that_no_arm_needs_has_no_slice(recipe_text: str) -> None:
    slices = slices_as_json(
        recipe_text.replace("gates:\n", "arms: [base, D_T]\ngates:\n"), "laptop", "", "base d_t"
    )
    assert (slices.visual, slices.sft_union, slices.evaluate_control) == ("", "", "")
    assert SftSlice.model_validate_json(slices.sft_d_t).arm == "D_T"


def test_a_pipeline_that_compares_other_arms_than_the_recipe_is_told_before_anything_runs(
    recipe_text: str,
) -> None:
    with pytest.raises(RecipeError) as error:
        slices_as_json(recipe_text, "laptop", "", "base d_t")
    [fault] = error.value.faults
    assert (fault.where, fault.found, fault.allowed) == (
        "recipe arms",
        ALL,
        "base d_t: what this pipeline compares",
    )


def test_a_visual_teacher_of_ones_own_makes_d_qvq_by_the_same_tasks(
    recipe_text: str, resolved: Resolved
) -> None:
    qvq = under(recipe_text, ("teacher: M0", "teacher: r1"))
    tasks = plan(qvq)
    by_qvq, union, report = tasks["distill-d_sd"], tasks["sft-d_t+d_sd"], tasks["report"]

    assert list(tasks) == list(plan(resolved))
    assert (
        isinstance(by_qvq, DistillSlice) and isinstance(union, SftSlice) and isinstance(report, ReportSlice)
    )
    assert by_qvq.teacher is not None and by_qvq.teacher.model == "m"
    assert union.arm == "D_T+D_QVQ"
    assert report.arms == ("base", "control", "D_T", "D_QVQ", "D_T+D_QVQ")
    assert num_training_rows(qvq.recipe) == {"control": 132, "D_T": 132, "D_QVQ": 36, "D_T+D_QVQ": 168}


@pytest.mark.parametrize(("own", "said"), [("null", "p"), ("''", ""), ("Think.", "Think.")])
def test_a_teachers_own_prefix_stands_in_for_the_recipes(recipe_text: str, own: str, said: str) -> None:
    slice = plan(under(recipe_text, ("model: m,", f"model: m, prefix: {own},")))["distill-d_t"]

    assert isinstance(slice, DistillSlice)
    assert (slice.prompt.system, slice.prompt.prefix) == ("s", said)


def test_a_split_by_difficulty_is_told_how_the_base_is_asked(recipe_text: str) -> None:
    slice = plan(under(recipe_text, ("num_rollouts: 5,", "num_rollouts: 5, difficulty: hard,")))[
        "distill-d_sd"
    ]

    assert isinstance(slice, DistillSlice) and slice.base_prompt == "prefix"


def test_several_kept_trajectories_and_a_subset_change_the_most_rows(recipe_text: str) -> None:
    recipe = under(
        recipe_text,
        ("num_rollouts: 5,", "num_rollouts: 5, num_kept: 2,"),
        ("{num_rows: null,", "{num_rows: 50,"),
    ).recipe

    assert num_training_rows(recipe) == {"control": 50, "D_T": 50, "D_SD": 76, "D_T+D_SD": 126}


def test_what_is_selected_of_one_set_changes_no_task_of_the_other(
    recipe_text: str, resolved: Resolved
) -> None:
    after = plan(under(recipe_text, ("visual: {}", "visual: {num_rows: 20}")))

    assert {task for task, slice in plan(resolved).items() if slice != after[task]} == {"dataset-d_sd"}


def test_the_key_of_each_step_is_that_of_the_endpoint_it_asks(recipe_text: str) -> None:
    recipe = under(
        recipe_text,
        ("evaluate: {", "evaluate: {judge: {url: http://j/v1, model: m, api_key_env: JUDGE_KEY}, "),
        ("TEACHER_API_KEY}}", "R1_KEY}, qvq: {url: http://q/v1, model: q, api_key_env: QVQ_KEY}}"),
    ).recipe
    keys = key_variables(recipe.models, recipe.distill, recipe.evaluate)

    assert keys == ("R1_KEY", None, "JUDGE_KEY")
    assert keys.teachers == ("R1_KEY",)


def test_the_control_arm_differs_from_d_t_in_its_answers_only(resolved: Resolved) -> None:
    tasks = plan(resolved)
    thoughts, control = tasks["dataset-d_t"].model_dump(), tasks["dataset-control"].model_dump()

    assert (thoughts.pop("response"), control.pop("response")) == ("thought", "answer")
    assert thoughts == control
    assert tasks["sft-control"].model_copy(update={"arm": "D_T"}) == tasks["sft-d_t"]


def test_training_sees_its_scale_and_its_picture_sizes(resolved: Resolved) -> None:
    slice = plan(resolved)["sft-d_t+d_sd"]

    assert isinstance(slice, SftSlice)
    assert (slice.arm, slice.seed, slice.min_pixels, slice.max_pixels) == ("D_T+D_SD", 7, 784, 6272)
    assert slice.scale == SftScale(
        num_nodes=1,
        ranks_per_node=2,
        threads_per_rank=3,
        precision="fp32",
        zero_stage=0,
        pack_tokens=1024,
        gradient_checkpointing=False,
    )


def test_a_server_takes_the_threads_of_all_ranks(resolved: Resolved) -> None:
    slice = plan(resolved)["distill-d_sd"]

    assert isinstance(slice, DistillSlice)
    assert slice.server == ServerScale(
        precision="fp32",
        threads=6,
        tensor_parallel=1,
        num_servers=1,
        kv_cache_gib=None,
        max_model_len=512,
        max_images=1,
    )


def test_the_first_repetition_penalty_is_the_headline(resolved: Resolved) -> None:
    report = plan(resolved)["report"].model_dump()

    assert (report["headline_repetition_penalty"], report["recipe"], report["profile"]) == (
        1.05,
        "tiny",
        "laptop",
    )


def test_a_change_of_evaluation_changes_no_slice_before_it(recipe_text: str, resolved: Resolved) -> None:
    text = recipe_text.replace("max_tokens: 18", "max_tokens: 20")
    after = plan(under_profile(parse_recipe(text, "r.yaml"), "laptop", "r.yaml"))

    assert {task for task, slice in plan(resolved).items() if slice != after[task]} == {
        "evaluate-base",
        "evaluate-control",
        "evaluate-d_t",
        "evaluate-d_sd",
        "evaluate-d_t+d_sd",
    }


def test_slices_travel_as_json_from_the_text_of_the_recipe(recipe_text: str, resolved: Resolved) -> None:
    slices = slices_as_json(recipe_text, "laptop", "run-1", ALL)

    assert Place.model_validate_json(slices.place) == Place(
        store="file://store", launcher="local", kubernetes=None, run="run-1"
    )
    assert SftSlice.model_validate_json(slices.sft_union) == plan(resolved)["sft-d_t+d_sd"]
    assert json.loads(slices.evaluate_union)["arm"] == "D_T+D_SD"


def test_slices_of_a_faulty_text_carry_its_faults(recipe_text: str) -> None:
    with pytest.raises(RecipeError) as caught:
        slices_as_json(recipe_text.replace("seed: 7", "seed: x"), "laptop", "", ALL)

    assert [fault.where for fault in caught.value.faults] == ["recipe:3 seed"]

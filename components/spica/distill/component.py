"""KFP faces of distill: rollouts by a teacher behind an endpoint, or by a checkpoint of our own."""

from kfp import dsl

from spica.images import image


@dsl.component(base_image=image("control"), install_kfp_package=False)
def distill(
    task: str, slice: str, place: str, prompts: dsl.Input[dsl.Dataset], rollouts: dsl.Output[dsl.Dataset]
) -> None:
    """Sample the recipe's teacher, keep the shortest correct response."""
    from spica.task import run_task

    run_task(task, "spica.distill.run", slice, place, {"prompts": prompts}, rollouts)


@dsl.component(base_image=image("control"), install_kfp_package=False)
def self_distill(
    task: str,
    slice: str,
    place: str,
    prompts: dsl.Input[dsl.Dataset],
    teacher: dsl.Input[dsl.Model],
    base: dsl.Input[dsl.Model],
    rollouts: dsl.Output[dsl.Dataset],
) -> None:
    """Serve a checkpoint (or ask the recipe's visual teacher), keep the shortest correct response."""
    from spica.task import run_task

    inputs = {"prompts": prompts, "teacher": teacher, "base": base}
    run_task(task, "spica.distill.run", slice, place, inputs, rollouts)

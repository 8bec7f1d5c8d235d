"""KFP face of dataset: kept rollouts into training rows."""

from kfp import dsl

from spica.images import image


@dsl.component(base_image=image("control"), install_kfp_package=False)
def dataset(
    task: str,
    slice: str,
    place: str,
    prompts: dsl.Input[dsl.Dataset],
    rollouts: dsl.Input[dsl.Dataset],
    held_out: dsl.Input[dsl.Dataset],
    student: dsl.Input[dsl.Model],
    chat: dsl.Output[dsl.Dataset],
) -> None:
    """Clean, decontaminate against what is held out, split, describe."""
    from spica.task import run_task

    inputs = {"prompts": prompts, "rollouts": rollouts, "held-out": held_out, "student": student}
    run_task(task, "spica.dataset.run", slice, place, inputs, chat)

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
    benchmarks: dsl.Input[dsl.Dataset],
    dev: dsl.Input[dsl.Dataset],
    chat: dsl.Output[dsl.Dataset],
) -> None:
    """Clean, decontaminate against benchmarks and dev, split, describe."""
    from spica.task import run_task

    inputs = {"prompts": prompts, "rollouts": rollouts, "benchmarks": benchmarks, "dev": dev}
    run_task(task, "spica.dataset.run", slice, place, inputs, chat)

"""KFP faces of sources: foreign rows into Prompts, the base checkpoint into the store."""

from kfp import dsl

from spica.images import image


@dsl.component(base_image=image("control"), install_kfp_package=False)
def sources(task: str, slice: str, place: str, prompts: dsl.Output[dsl.Dataset]) -> None:
    """Read rows in their official formats."""
    from spica.task import run_task

    run_task(task, "spica.sources.run", slice, place, {}, prompts)


@dsl.component(base_image=image("control"), install_kfp_package=False)
def student(task: str, slice: str, place: str, checkpoint: dsl.Output[dsl.Model]) -> None:
    """Bring the base checkpoint into the store."""
    from spica.task import run_task

    run_task(task, "spica.sources.student", slice, place, {}, checkpoint)

"""KFP face of evaluate: one checkpoint, served by vLLM, over every benchmark and the dev questions."""

from kfp import dsl

from spica.images import image


@dsl.component(base_image=image("control"), install_kfp_package=False)
def evaluate(
    task: str,
    slice: str,
    place: str,
    checkpoint: dsl.Input[dsl.Model],
    held_out: dsl.Input[dsl.Dataset],
    scores: dsl.Output[dsl.Artifact],
) -> None:
    """Ask every item, judge every answer."""
    from spica.task import run_task

    inputs = {"checkpoint": checkpoint, "held-out": held_out}
    run_task(task, "spica.evaluate.run", slice, place, inputs, scores)

"""KFP face of serve: one question asked of the best model."""

from kfp import dsl

from spica.images import image


@dsl.component(base_image=image("control"), install_kfp_package=False)
def serve(
    task: str,
    slice: str,
    place: str,
    report: dsl.Input[dsl.Artifact],
    held_out: dsl.Input[dsl.Dataset],
    base: dsl.Input[dsl.Model],
    answer: dsl.Output[dsl.Artifact],
    control: dsl.Input[dsl.Model] = None,
    d_t: dsl.Input[dsl.Model] = None,
    d_sd: dsl.Input[dsl.Model] = None,
    union: dsl.Input[dsl.Model] = None,
) -> None:
    """Serve the best model and ask it one question."""
    from spica.task import run_task

    inputs = {
        "report": report,
        "held-out": held_out,
        "checkpoint-base": base,
        "checkpoint-control": control,
        "checkpoint-D_T": d_t,
        "checkpoint-D_SD": d_sd,
        "checkpoint-D_T+D_SD": union,
    }
    made = {name: artifact for name, artifact in inputs.items() if artifact is not None}
    run_task(task, "spica.serve.run", slice, place, made, answer)

"""KFP face of report: everything that was made, compared. What no arm of the recipe needs is not there."""

from kfp import dsl

from spica.images import image


@dsl.component(base_image=image("control"), install_kfp_package=False)
def report(
    task: str,
    slice: str,
    place: str,
    student: dsl.Input[dsl.Model],
    held_out: dsl.Input[dsl.Dataset],
    evaluate_base: dsl.Input[dsl.Artifact],
    result: dsl.Output[dsl.Artifact],
    text: dsl.Input[dsl.Dataset] = None,
    visual: dsl.Input[dsl.Dataset] = None,
    distill_d_t: dsl.Input[dsl.Dataset] = None,
    distill_d_sd: dsl.Input[dsl.Dataset] = None,
    dataset_d_t: dsl.Input[dsl.Dataset] = None,
    dataset_control: dsl.Input[dsl.Dataset] = None,
    dataset_d_sd: dsl.Input[dsl.Dataset] = None,
    sft_d_t: dsl.Input[dsl.Model] = None,
    sft_control: dsl.Input[dsl.Model] = None,
    sft_d_sd: dsl.Input[dsl.Model] = None,
    sft_union: dsl.Input[dsl.Model] = None,
    evaluate_control: dsl.Input[dsl.Artifact] = None,
    evaluate_d_t: dsl.Input[dsl.Artifact] = None,
    evaluate_d_sd: dsl.Input[dsl.Artifact] = None,
    evaluate_union: dsl.Input[dsl.Artifact] = None,
) -> None:
    """Write report.json and report.html."""
    from spica.task import run_task

    inputs = {
        "student": student,
        "text": text,
        "visual": visual,
        "held-out": held_out,
        "distill-d_t": distill_d_t,
        "distill-d_sd": distill_d_sd,
        "dataset-d_t": dataset_d_t,
        "dataset-control": dataset_control,
        "dataset-d_sd": dataset_d_sd,
        "sft-d_t": sft_d_t,
        "sft-control": sft_control,
        "sft-d_sd": sft_d_sd,
        "sft-d_t+d_sd": sft_union,
        "evaluate-base": evaluate_base,
        "evaluate-control": evaluate_control,
        "evaluate-d_t": evaluate_d_t,
        "evaluate-d_sd": evaluate_d_sd,
        "evaluate-d_t+d_sd": evaluate_union,
    }
    made = {name: artifact for name, artifact in inputs.items() if artifact is not None}
    run_task(task, "spica.report.run", slice, place, made, result)

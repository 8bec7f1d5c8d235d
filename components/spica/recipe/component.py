"""KFP face of the plan: the first step of the pipeline, from one recipe to one slice per task."""

from typing import NamedTuple

from kfp import dsl

from spica.images import image


@dsl.component(base_image=image("control"), install_kfp_package=False)
def plan(recipe: str, profile: str, run: str, arms: str) -> NamedTuple(
    "Slices",
    place=str,
    student=str,
    text=str,
    visual=str,
    held_out=str,
    distill_d_t=str,
    dataset_d_t=str,
    dataset_control=str,
    sft_d_t=str,
    sft_control=str,
    distill_d_sd=str,
    dataset_d_sd=str,
    sft_d_sd=str,
    sft_union=str,
    evaluate_base=str,
    evaluate_control=str,
    evaluate_d_t=str,
    evaluate_d_sd=str,
    evaluate_union=str,
    report=str,
    serve=str,
):
    """Check the recipe (its YAML text) under a profile and for this pipeline's arms; cut it into slices."""
    from spica.recipe.plan import slices_as_json

    return slices_as_json(recipe, profile, run, arms)

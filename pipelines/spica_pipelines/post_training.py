"""The experiment: the stage calls in the order in which data flows.

D_T by a teacher -> M0 -> rollouts by M0 on the visual questions -> D_SD -> the original base again, on D_SD
and on D_T u D_SD, and on the control set -> evaluation of all five -> report -> one question to the best
model. Where the recipe names another visual teacher than M0, the same tasks make D_QVQ and D_T u D_QVQ. A
recipe that compares fewer arms has only the tasks that they need.
"""

from collections.abc import Collection

from kfp import dsl
from kfp.dsl.base_component import BaseComponent

from spica.dataset.component import dataset
from spica.distill.component import distill, self_distill
from spica.evaluate.component import evaluate
from spica.recipe.arms import Arm, comparison, needed_tasks
from spica.recipe.component import plan
from spica.report.component import report
from spica.serve.component import serve
from spica.sft.component import sft, sft_union
from spica.sources.component import sources, student


def post_training(arms: Collection[Arm]) -> BaseComponent:
    """The pipeline that compares `arms`.

    Its parameters: `recipe` (YAML text, of a recipe that compares these arms), `profile`, and `run`, the id
    under which the run is recorded.
    """
    needed = needed_tasks(arms)

    @dsl.pipeline(
        name="post-training", description="Slow thinking by text-only long thoughts (Virgo, arXiv 2501.01904)"
    )
    def pipeline(recipe: str, profile: str, run: str = "") -> None:
        cut = plan(recipe=recipe, profile=profile, run=run, arms=comparison(arms)).outputs
        place = cut["place"]

        base = student(task="student", slice=cut["student"], place=place).output
        made = {"student": base}
        checkpoints = {"base": base}
        if "text" in needed:
            made["text"] = sources(task="text", slice=cut["text"], place=place).output
        if "visual" in needed:
            made["visual"] = sources(task="visual", slice=cut["visual"], place=place).output
        held_out = sources(task="held-out", slice=cut["held_out"], place=place).output
        unseen = {"held_out": held_out, "place": place}
        by_student = {"student": base, **unseen}  # whose tokens are counted

        if "distill-d_t" in needed:
            made["distill_d_t"] = distill(
                task="distill-d_t", slice=cut["distill_d_t"], place=place, prompts=made["text"]
            ).output

        def train(name: str, prompts: str, rollouts: str) -> None:
            """The data set of an arm and its training, as far as they are needed."""
            if f"dataset-{name}" in needed:
                made[f"dataset_{name}"] = dataset(
                    task=f"dataset-{name}",
                    slice=cut[f"dataset_{name}"],
                    prompts=made[prompts],
                    rollouts=made[rollouts],
                    **by_student,
                ).output
            if f"sft-{name}" in needed:
                made[f"sft_{name}"] = checkpoints[name] = sft(
                    task=f"sft-{name}",
                    slice=cut[f"sft_{name}"],
                    place=place,
                    student=base,
                    chat=made[f"dataset_{name}"],
                ).output

        train("d_t", "text", "distill_d_t")
        train("control", "text", "distill_d_t")
        if "distill-d_sd" in needed:
            made["distill_d_sd"] = self_distill(
                task="distill-d_sd",
                slice=cut["distill_d_sd"],
                place=place,
                prompts=made["visual"],
                teacher=made["sft_d_t"],
                base=base,
            ).output
        train("d_sd", "visual", "distill_d_sd")
        if "sft-d_t+d_sd" in needed:
            made["sft_union"] = checkpoints["union"] = sft_union(
                task="sft-d_t+d_sd",
                slice=cut["sft_union"],
                place=place,
                student=base,
                chat=made["dataset_d_t"],
                more=made["dataset_d_sd"],
            ).output

        for name, checkpoint in checkpoints.items():
            task = f"evaluate-{name}".replace("union", "d_t+d_sd")
            if task in needed:
                made[f"evaluate_{name}"] = evaluate(
                    task=task, slice=cut[f"evaluate_{name}"], checkpoint=checkpoint, **unseen
                ).output

        written = report(task="report", slice=cut["report"], **made, **unseen).output
        serve(
            task="serve",
            slice=cut["serve"],
            place=place,
            report=written,
            held_out=held_out,
            **checkpoints,
        )

    return pipeline

"""The experiment: the stage calls in the order in which data flows.

D_T by a teacher -> M0 -> rollouts by M0 on the visual questions -> D_SD -> the original base again, on D_SD
and on D_T u D_SD, and on the control set -> evaluation of all five -> report -> one question to the best
model. Where the recipe names another visual teacher than M0, the same tasks make D_QVQ and D_T u D_QVQ.
"""

from kfp import dsl

from spica.dataset.component import dataset
from spica.distill.component import distill, self_distill
from spica.evaluate.component import evaluate
from spica.recipe.component import plan
from spica.report.component import report
from spica.serve.component import serve
from spica.sft.component import sft, sft_union
from spica.sources.component import sources, student


@dsl.pipeline(
    name="post-training", description="Slow thinking by text-only long thoughts (Virgo, arXiv 2501.01904)"
)
def post_training(recipe: str, profile: str, run: str = "") -> None:
    """One recipe (its YAML text) under one profile; `run` is the id under which the run is recorded."""
    cut = plan(recipe=recipe, profile=profile, run=run).outputs
    place = cut["place"]

    base = student(task="student", slice=cut["student"], place=place).output
    text = sources(task="text", slice=cut["text"], place=place).output
    visual = sources(task="visual", slice=cut["visual"], place=place).output
    held_out = sources(task="held-out", slice=cut["held_out"], place=place).output
    unseen = {"held_out": held_out, "place": place}
    by_student = {"student": base, **unseen}  # whose tokens are counted

    rollouts_t = distill(task="distill-d_t", slice=cut["distill_d_t"], place=place, prompts=text).output
    d_t = dataset(
        task="dataset-d_t", slice=cut["dataset_d_t"], prompts=text, rollouts=rollouts_t, **by_student
    ).output
    short = dataset(
        task="dataset-control", slice=cut["dataset_control"], prompts=text, rollouts=rollouts_t, **by_student
    ).output
    m0 = sft(task="sft-d_t", slice=cut["sft_d_t"], place=place, student=base, chat=d_t).output
    control = sft(task="sft-control", slice=cut["sft_control"], place=place, student=base, chat=short).output

    rollouts_sd = self_distill(
        task="distill-d_sd", slice=cut["distill_d_sd"], place=place, prompts=visual, teacher=m0, base=base
    ).output
    d_sd = dataset(
        task="dataset-d_sd", slice=cut["dataset_d_sd"], prompts=visual, rollouts=rollouts_sd, **by_student
    ).output
    m_sd = sft(task="sft-d_sd", slice=cut["sft_d_sd"], place=place, student=base, chat=d_sd).output
    m_union = sft_union(
        task="sft-d_t+d_sd", slice=cut["sft_union"], place=place, student=base, chat=d_t, more=d_sd
    ).output

    on_base = evaluate(task="evaluate-base", slice=cut["evaluate_base"], checkpoint=base, **unseen).output
    on_control = evaluate(
        task="evaluate-control", slice=cut["evaluate_control"], checkpoint=control, **unseen
    ).output
    on_m0 = evaluate(task="evaluate-d_t", slice=cut["evaluate_d_t"], checkpoint=m0, **unseen).output
    on_sd = evaluate(task="evaluate-d_sd", slice=cut["evaluate_d_sd"], checkpoint=m_sd, **unseen).output
    on_union = evaluate(
        task="evaluate-d_t+d_sd", slice=cut["evaluate_union"], checkpoint=m_union, **unseen
    ).output

    written = report(
        task="report",
        slice=cut["report"],
        student=base,
        text=text,
        visual=visual,
        distill_d_t=rollouts_t,
        distill_d_sd=rollouts_sd,
        dataset_d_t=d_t,
        dataset_control=short,
        dataset_d_sd=d_sd,
        sft_d_t=m0,
        sft_control=control,
        sft_d_sd=m_sd,
        sft_union=m_union,
        evaluate_base=on_base,
        evaluate_control=on_control,
        evaluate_d_t=on_m0,
        evaluate_d_sd=on_sd,
        evaluate_union=on_union,
        **unseen,
    ).output
    serve(
        task="serve",
        slice=cut["serve"],
        place=place,
        report=written,
        held_out=held_out,
        base=base,
        control=control,
        d_t=m0,
        d_sd=m_sd,
        union=m_union,
    )

"""Rules of distillation and of what is trained on: teachers, difficulty, cancelling, length bins."""

from spica.recipe.document import Loc, Problem, Problems
from spica.recipe.schema import M0, Dataset, Distill, Models, Rollouts, Selection, Sft, Source, Sources

K = 5
"""Rollouts per question of which table 6 counts the correct ones."""


def teachers(models: Models, distill: Distill) -> Problems:
    """Each set of questions has a teacher that is there when it is asked."""
    names = ", ".join(models.teachers) or "(none yet)"
    if distill.text.teacher == M0:
        yield Problem(
            ("distill", "text", "teacher"),
            "M0, which is tuned on what distill.text makes",
            f"a name of models.teachers: {names}",
            "name one of them, or add it to models.teachers",
        )
    for part, section in distill:
        if section.teacher != M0 and section.teacher not in models.teachers:
            yield Problem(
                ("distill", part, "teacher"),
                f"unknown teacher `{section.teacher}`",
                f"a name of models.teachers: {names}" + (", or M0" if part == "visual" else ""),
                "name one of them, or add it to models.teachers",
            )


def difficulties(distill: Distill) -> Problems:
    """Table 6 counts correct rollouts of M0 on visual questions, five to a question."""
    if distill.text.difficulty != "random":
        yield Problem(
            ("distill", "text", "difficulty"),
            f"{distill.text.difficulty} for text questions",
            "random: table 6 splits visual questions only",
            "delete it, or move it to distill.visual",
        )
    visual, loc = distill.visual, ("distill", "visual")
    if visual.difficulty == "random":
        return
    if visual.teacher != M0:
        yield Problem(
            (*loc, "difficulty"),
            f"{visual.difficulty} with teacher {visual.teacher}",
            "random, or teacher M0: the split counts what M0 solves (table 6)",
            "set difficulty: random or teacher: M0",
        )
    if visual.num_rollouts != K:
        yield Problem(
            (*loc, "num_rollouts"),
            f"{visual.num_rollouts} with difficulty {visual.difficulty}",
            f"{K}: medium is 4 or 5 correct of {K}, hard 2 or 3 (table 6)",
            f"set num_rollouts: {K} or difficulty: random",
        )


def trajectories(distill: Distill) -> Problems:
    """No more are kept than are drawn; a rollout may be cancelled only where nothing else needs its end."""
    for part, section in distill:
        loc: Loc = ("distill", part)
        if section.num_kept > section.num_rollouts:
            yield Problem(
                (*loc, "num_kept"),
                str(section.num_kept),
                f"<= num_rollouts ({section.num_rollouts})",
                "lower num_kept or raise num_rollouts",
            )
        if section.cancel_longer and section.num_kept > 1:
            yield _cancelled(loc, f"num_kept: {section.num_kept}", "num_kept: 1")
        if section.cancel_longer and section.difficulty != "random":
            yield _cancelled(loc, f"difficulty: {section.difficulty}", "difficulty: random")


def _cancelled(loc: Loc, beside: str, instead: str) -> Problem:
    return Problem(
        (*loc, "cancel_longer"),
        f"true with {beside}, which needs every rollout's end",
        f"false, or true with {instead}",
        f"set cancel_longer: false or {instead}",
    )


def length_bins(dataset: Dataset, sft: Sft) -> Problems:
    """A bin holds some length, and some that training takes."""
    for part, selection in (("text", dataset.text), ("visual", dataset.visual)):
        if selection.length_bin is None:
            continue
        more_than, at_most = selection.length_bin
        loc: Loc = ("dataset", part, "length_bin")
        if more_than >= at_most:
            yield Problem(
                loc,
                f"[{more_than}, {at_most}]",
                "[more than, at most], the first below the second",
                "swap them",
            )
        elif more_than >= sft.cutoff_len:
            yield Problem(
                loc,
                f"responses of more than {more_than} tokens",
                f"lengths below sft.cutoff_len ({sft.cutoff_len}): training refuses longer samples",
                "lower the bin or raise sft.cutoff_len",
            )


def batches(sft: Sft, dataset: Dataset, distill: Distill, sources: Sources) -> Problems:
    """Every epoch has at least one step, and some steps come after the warm-up."""
    if sft.warmup_ratio == 1.0:
        yield Problem(("sft", "warmup_ratio"), "1.0", "< 1.0", "leave steps to train after the warm-up")
    yield from _batch("text", sft, dataset, dataset.text, distill.text, sources.text)
    yield from _batch("visual", sft, dataset, dataset.visual, distill.visual, sources.visual)


def _batch(
    part: str, sft: Sft, dataset: Dataset, selection: Selection, rollouts: Rollouts, listed: list[Source]
) -> Problems:
    if selection.num_rows is not None and selection.num_rows < sft.batch_size:
        yield Problem(
            ("dataset", part, "num_rows"),
            str(selection.num_rows),
            f">= sft.batch_size ({sft.batch_size}): an epoch has at least one step",
            "raise it or lower sft.batch_size",
        )
    if not listed or any(source.num_rows is None for source in listed):
        return
    num_rows = sum(source.num_rows or 0 for source in listed) * rollouts.num_kept - dataset.num_val
    if num_rows < sft.batch_size:
        yield Problem(
            ("sft", "batch_size"),
            f"{sft.batch_size} samples per step, but {num_rows} rows of sources.{part} besides num_val",
            "at most as many samples as one epoch has rows",
            "lower sft.batch_size or dataset.num_val, or raise num_rows",
        )

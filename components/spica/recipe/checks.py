"""Rules that join several values of a recipe. Each looks only at sections that are valid by themselves."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, get_args

from spica.recipe.distill_checks import batches, difficulties, length_bins, teachers, trajectories
from spica.recipe.document import Document, Loc, Problem, Problems
from spica.recipe.places import judges, places, profile_stores
from spica.recipe.profile_checks import clusters, ranks, secrets, servers
from spica.recipe.schema import (
    M0,
    Arm,
    Benchmark,
    Distill,
    Evaluate,
    Gate,
    Models,
    Serve,
    Sft,
    Sources,
    compared_arms,
)

WITH_RESPONSES = ("sharegpt", "long_form_thought")
"""Formats whose rows bring responses along."""


def add_rule_faults(document: Document, sections: Mapping[str, Any]) -> None:
    """Apply every rule whose sections are at hand; `sections` holds the valid ones by name."""
    for rule, names in RULES.items():
        if all(name in sections for name in names):
            for problem in rule(*(sections[name] for name in names)):
                document.fault(*problem)


def _sources(sources: Sources) -> Problems:
    for part, listed in sources:
        loc: Loc = ("sources", part)
        if not listed:
            yield Problem(loc, "an empty list", "at least one source", "add a source")
        yield from _unique(loc, [source.name for source in listed])
        for index, source in enumerate(listed):
            if source.teacher is not None and source.format not in WITH_RESPONSES:
                yield Problem(
                    (*loc, index, "teacher"),
                    f"`{source.teacher}` in format {source.format}, whose rows bring no responses",
                    "a teacher only in the formats " + ", ".join(WITH_RESPONSES),
                    "delete it; whom to ask stands in `distill`",
                )
    taken = {source.name for source in sources.benchmarks}
    for index, source in enumerate(sources.dev):
        if source.name in taken:
            yield Problem(
                ("sources", "dev", index, "name"),
                f"`{source.name}`, a name of sources.benchmarks too",
                "a name of its own: benchmarks and dev become one artifact",
                "give it another name",
            )
    for index, source in enumerate(sources.benchmarks):
        loc = ("sources", "benchmarks", index)
        if source.name != source.format or source.name not in get_args(Benchmark):
            yield Problem(
                (*loc, "name"),
                f"benchmark `{source.name}` in format {source.format}",
                "the same name and format, one of " + ", ".join(get_args(Benchmark)),
                "write the benchmark's name in both keys",
            )


def _pictures(models: Models) -> Problems:
    student = models.student
    if student.min_pixels > student.max_pixels:
        yield Problem(
            ("models", "student", "min_pixels"),
            str(student.min_pixels),
            f"<= max_pixels ({student.max_pixels})",
            "lower min_pixels or raise max_pixels",
        )


def _cutoff(sft: Sft, serve: Serve) -> Problems:
    if sft.cutoff_len > serve.max_model_len:
        yield Problem(
            ("sft", "cutoff_len"),
            str(sft.cutoff_len),
            f"<= serve.max_model_len ({serve.max_model_len}): the server must hold what was trained",
            "raise serve.max_model_len or lower cutoff_len",
        )


def _responses(distill: Distill, evaluate: Evaluate, serve: Serve) -> Problems:
    limit = serve.max_model_len
    asked: list[tuple[Loc, int]] = [
        (("distill", part, "max_tokens"), section.max_tokens)
        for part, section in distill
        if section.teacher == M0  # another teacher's server is not ours
    ]
    asked += [
        (("evaluate", "max_tokens"), evaluate.max_tokens),
        (("serve", "max_tokens"), serve.max_tokens),
    ]
    for loc, max_tokens in asked:
        if max_tokens >= limit:
            yield Problem(
                loc,
                str(max_tokens),
                f"< serve.max_model_len ({limit}): prompt and response share it",
                "lower max_tokens or raise serve.max_model_len",
            )


def _penalties(evaluate: Evaluate) -> Problems:
    if len(set(evaluate.repetition_penalties)) < len(evaluate.repetition_penalties):
        yield Problem(
            ("evaluate", "repetition_penalties"),
            f"{evaluate.repetition_penalties}",
            "each value once",
            "delete the double value",
        )


def _arms(arms: list[Arm] | None, distill: Distill) -> Problems:
    possible = compared_arms(distill.visual.teacher)
    for index, arm in enumerate(arms or ()):
        loc: Loc = ("arms", index)
        if arm not in possible:
            yield Problem(
                loc,
                f"{arm} with distill.visual.teacher {distill.visual.teacher}",
                ", ".join(possible),
                "name one of them, or another visual teacher",
            )
        if arm in (arms or ())[:index]:
            yield Problem(loc, f"{arm} twice", "each arm once", "delete one of them")
    if arms is not None and ("base" not in arms or len(set(arms)) < 2):
        yield Problem(
            ("arms",), f"[{', '.join(arms)}]", "base and at least one more", "add what is to be compared"
        )


def _gates(gates: list[Gate], sources: Sources, distill: Distill, arms: list[Arm] | None) -> Problems:
    yield from _unique(("gates",), [gate.name for gate in gates])
    possible = compared_arms(distill.visual.teacher)
    benchmarks = {source.name for source in sources.benchmarks}
    for index, gate in enumerate(gates):
        loc: Loc = ("gates", index)
        for key, arm in (("model", gate.model), ("over", gate.over)):
            if arm not in possible:
                yield Problem(
                    (*loc, key),
                    f"{arm} with distill.visual.teacher {distill.visual.teacher}",
                    "an arm of this recipe: " + ", ".join(possible),
                    "name one of them",
                )
            elif arms is not None and arm not in arms:
                yield Problem(
                    (*loc, key), f"{arm}, which `arms` leaves out", ", ".join(arms), f"add {arm} to arms"
                )
        if gate.model == gate.over:
            yield Problem((*loc, "over"), gate.over, "another arm than `model`", "compare two arms")
        if gate.min_gain is None and gate.max_gain is None:
            yield Problem(
                loc, "neither min_gain nor max_gain", "at least one of them", "add min_gain or max_gain"
            )
        if gate.min_gain is not None and gate.max_gain is not None and gate.max_gain < gate.min_gain:
            yield Problem(
                (*loc, "max_gain"), f"{gate.max_gain}", f">= min_gain ({gate.min_gain})", "swap them"
            )
        if gate.benchmark is not None and gate.benchmark not in benchmarks:
            yield Problem(
                (*loc, "benchmark"),
                gate.benchmark,
                "a name of sources.benchmarks: " + ", ".join(sorted(benchmarks)),
                "name one of them, or add the benchmark",
            )
        if gate.steps is not None and not 1 <= gate.steps[0] <= gate.steps[1]:
            yield Problem(
                (*loc, "steps"), f"{list(gate.steps)}", "[first, last], 1 <= first <= last", "swap them"
            )


def _unique(loc: Loc, names: list[str]) -> Problems:
    for name, count in Counter(names).items():
        if count > 1:
            place = (*loc, len(names) - 1 - names[::-1].index(name), "name")
            yield Problem(
                place, f"`{name}` {count} times", "each name once in a list", "give it another name"
            )


RULES: Mapping[Callable[..., Problems], tuple[str, ...]] = {
    places: ("models", "store", "sources"),
    judges: ("evaluate",),
    _pictures: ("models",),
    _sources: ("sources",),
    teachers: ("models", "distill"),
    difficulties: ("distill",),
    trajectories: ("distill",),
    batches: ("sft", "dataset", "distill", "sources"),
    length_bins: ("dataset", "sft"),
    profile_stores: ("profiles",),
    ranks: ("sft", "profiles"),
    servers: ("profiles",),
    clusters: ("profiles", "store"),
    secrets: ("profiles", "models", "distill", "evaluate"),
    _cutoff: ("sft", "serve"),
    _responses: ("distill", "evaluate", "serve"),
    _penalties: ("evaluate",),
    _arms: ("arms", "distill"),
    _gates: ("gates", "sources", "distill", "arms"),
}

"""Rules that join several values of a recipe. Each looks only at sections that are valid by themselves."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args
from urllib.parse import urlsplit

from spica.recipe.document import Document, Loc, Problem, Problems
from spica.recipe.faults import show
from spica.recipe.profile_checks import Profiles, clusters, ranks, servers
from spica.recipe.schema import (
    Benchmark,
    Dataset,
    Distill,
    Evaluate,
    Gate,
    Models,
    Serve,
    Sft,
    Sources,
)


def add_rule_faults(document: Document, sections: Mapping[str, Any]) -> None:
    """Apply every rule whose sections are at hand; `sections` holds the valid ones by name."""
    for rule, names in RULES.items():
        if all(name in sections for name in names):
            for problem in rule(*(sections[name] for name in names)):
                document.fault(*problem)


def _places(models: Models, store: str, sources: Sources) -> Problems:
    anywhere = ("file", "s3", "hf", "miniature")
    yield from _uri(("models", "teacher", "url"), models.teacher.url, ("http", "https", "miniature"))
    yield from _uri(("store",), store, ("file", "s3"))
    if "://" in models.student.path:
        yield from _uri(("models", "student", "path"), models.student.path, anywhere)
    for loc, source in _each_source(sources):
        yield from _uri((*loc, "uri"), source.uri, anywhere)


def _profile_stores(profiles: Profiles) -> Problems:
    for name, scale in profiles.items():
        if scale.store is not None:
            yield from _uri(("profiles", name, "store"), scale.store, ("file", "s3"))


def _uri(loc: Loc, uri: str, schemes: tuple[str, ...]) -> Problems:
    allowed = " or ".join(f"{scheme}://..." for scheme in schemes)
    try:
        parts = urlsplit(uri)
        has_secret = "@" in parts.netloc and parts.scheme != "hf"
        has_query = bool(parts.query) and parts.scheme not in ("miniature", "file")
    except ValueError:
        yield Problem(loc, show(uri), allowed, "write a URI")
        return
    if has_secret or has_query:
        yield Problem(
            loc,
            f"a URI with {'a user or password' if has_secret else 'a query'} (not shown)",
            allowed + (" without credentials" if has_secret else " without a query, which may hold a key"),
            "take it out; keys come from the environment (models.teacher.api_key_env, AWS_...)",
        )
    elif parts.scheme not in schemes or not (parts.netloc or parts.path.strip("/")):
        yield Problem(loc, show(uri), allowed, "write a URI with one of these schemes")


def _sources(sources: Sources) -> Problems:
    for part, listed in sources:
        loc: Loc = ("sources", part)
        if not listed:
            yield Problem(loc, "an empty list", "at least one source", "add a source")
        yield from _unique(loc, [source.name for source in listed])
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


def _batches(sft: Sft, dataset: Dataset, sources: Sources) -> Problems:
    if sft.warmup_ratio == 1.0:
        yield Problem(("sft", "warmup_ratio"), "1.0", "< 1.0", "leave steps to train after the warm-up")
    for part, listed in (("text", sources.text), ("visual", sources.visual)):
        if not listed or any(source.num_rows is None for source in listed):
            continue
        num_rows = sum(source.num_rows or 0 for source in listed) - dataset.num_val
        if num_rows < sft.batch_size:
            yield Problem(
                ("sft", "batch_size"),
                f"{sft.batch_size} samples per step, but {num_rows} rows of sources.{part} besides num_val",
                "at most as many samples as one epoch has rows",
                "lower sft.batch_size or dataset.num_val, or raise num_rows",
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
    asked: tuple[tuple[Loc, int], ...] = (
        (("distill", "student", "max_tokens"), distill.student.max_tokens),
        (("evaluate", "max_tokens"), evaluate.max_tokens),
        (("serve", "max_tokens"), serve.max_tokens),
    )
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


def _gates(gates: list[Gate], sources: Sources) -> Problems:
    yield from _unique(("gates",), [gate.name for gate in gates])
    benchmarks = {source.name for source in sources.benchmarks}
    for index, gate in enumerate(gates):
        loc: Loc = ("gates", index)
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


def _each_source(sources: Sources) -> Iterator[tuple[Loc, Any]]:
    for part, listed in sources:
        for index, source in enumerate(listed):
            yield ("sources", part, index), source


RULES: Mapping[Callable[..., Problems], tuple[str, ...]] = {
    _places: ("models", "store", "sources"),
    _pictures: ("models",),
    _sources: ("sources",),
    _batches: ("sft", "dataset", "sources"),
    _profile_stores: ("profiles",),
    ranks: ("sft", "profiles"),
    servers: ("profiles",),
    clusters: ("profiles", "store", "models"),
    _cutoff: ("sft", "serve"),
    _responses: ("distill", "evaluate", "serve"),
    _penalties: ("evaluate",),
    _gates: ("gates", "sources"),
}

"""The figures of summary.json."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar, get_args

from spica.answers.proportion import proportion
from spica.artifacts.types import PromptRow, Score
from spica.evaluate import tasks
from spica.evaluate.items import DEV, Item
from spica.recipe.schema import Arm, Modality

SCHEMA_VERSION = 1
MODALITIES: tuple[Modality, ...] = get_args(Modality)
Pair = tuple[PromptRow, Score]
Key = TypeVar("Key", int, str)


def summarise(
    arm: Arm, items: Sequence[Item], scores: Sequence[Score], repetition_penalties: Sequence[float]
) -> dict[str, Any]:
    """Everything worth knowing about one arm; the first penalty is the headline.

    by_repetition_penalty[penalty] holds `benchmarks[name] = {accuracy, ci95, n, groups[axis][value]}`,
    `mean` (plain mean over the benchmarks, as in table 2), `dev`, and over the benchmarks
    `by_steps[modality][k]`, `thought_tokens[k]` (mean), `num_unparsed` (no answer could be read) and
    `num_cut` (reached max_tokens). Accuracies lie in 0..1.
    """
    rows = {item.row.id: item.row for item in items}
    by_penalty = {
        str(penalty): _under_penalty(
            [(rows[row.id], row) for row in scores if row.repetition_penalty == penalty]
        )
        for penalty in repetition_penalties
    }
    return {
        "schema_version": SCHEMA_VERSION,
        "arm": arm,
        "headline_repetition_penalty": repetition_penalties[0],
        "by_repetition_penalty": by_penalty,
    }


def flatten(summary: Mapping[str, Any]) -> dict[str, float | int | str]:
    """The headline as metrics of the artifact: accuracy.NAME per benchmark, mean and dev, and counts."""
    headline = summary["by_repetition_penalty"][str(summary["headline_repetition_penalty"])]
    metrics: dict[str, float | int | str] = {
        f"accuracy.{name}": cell["accuracy"] for name, cell in headline["benchmarks"].items()
    }
    return metrics | {
        "accuracy.mean": headline["mean"],
        "accuracy.dev": headline["dev"]["accuracy"],
        "num_questions": sum(cell["n"] for cell in headline["benchmarks"].values()) + headline["dev"]["n"],
        "num_unparsed": headline["num_unparsed"],
        "num_cut": headline["num_cut"],
    }


def _under_penalty(pairs: Sequence[Pair]) -> dict[str, Any]:
    asked = [pair for pair in pairs if pair[1].source != DEV]
    benchmarks = {name: _benchmark(name, group) for name, group in _group(asked, _source).items()}
    accuracies = [cell["accuracy"] for cell in benchmarks.values()]
    return {
        "benchmarks": benchmarks,
        "mean": sum(accuracies) / len(accuracies) if accuracies else 0.0,
        "dev": _accuracy(pair for pair in pairs if pair[1].source == DEV),
        "by_steps": {
            modality: _each(_group((pair for pair in asked if pair[0].modality == modality), _num_steps))
            for modality in MODALITIES
        },
        "thought_tokens": {
            str(k): sum(score.num_thought_tokens for _, score in group) / len(group)
            for k, group in sorted(_group(asked, _num_steps).items())
        },
        "num_unparsed": sum(score.extracted is None for _, score in asked),
        "num_cut": sum(score.finish_reason == "length" for _, score in asked),
    }


def _benchmark(name: str, pairs: Sequence[Pair]) -> dict[str, Any]:
    by_axis: dict[str, dict[str, list[Pair]]] = {}
    for pair in pairs:
        for axis, group in tasks.groups(name, pair[0]).items():
            by_axis.setdefault(axis, {}).setdefault(group, []).append(pair)
    return {**_accuracy(pairs), "groups": {axis: _each(groups) for axis, groups in by_axis.items()}}


def _accuracy(pairs: Iterable[Pair]) -> dict[str, Any]:
    share = proportion(score.correct for _, score in pairs)
    return {"accuracy": share.accuracy, "ci95": list(share.ci95), "n": share.n}


def _each(groups: Mapping[Key, Sequence[Pair]]) -> dict[str, Any]:
    return {str(name): _accuracy(groups[name]) for name in sorted(groups)}


def _group(pairs: Iterable[Pair], key: Callable[[Pair], Key | None]) -> dict[Key, list[Pair]]:
    groups: dict[Key, list[Pair]] = {}
    for pair in pairs:
        if (name := key(pair)) is not None:
            groups.setdefault(name, []).append(pair)
    return groups


def _source(pair: Pair) -> str:
    return pair[1].source


def _num_steps(pair: Pair) -> int | None:
    return pair[0].num_steps

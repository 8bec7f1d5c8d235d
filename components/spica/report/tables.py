"""The figures of the report: counts over joined outcomes, nothing drawn and nothing rounded."""

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from functools import partial
from typing import TypeVar, get_args

from spica.answers.proportion import Proportion, proportion
from spica.artifacts.types import PromptRow
from spica.recipe.schema import Arm, Benchmark, Modality
from spica.report.outcomes import Answers, Outcomes
from spica.report.stats import mean

BENCHMARKS: tuple[str, ...] = get_args(Benchmark)
MODALITIES: tuple[Modality, ...] = get_args(Modality)
Key = TypeVar("Key", int, str)
DIFFICULTIES = ("Easy", "Medium", "Hard")
"""MMMU's `topic_difficulty`, in the order of the paper's table 3."""


def accuracy(items: Iterable[PromptRow], answers: Answers) -> Proportion:
    """Share of `items` answered right."""
    return proportion(answers[item.id].correct for item in items)


def order_of(benchmark: str) -> tuple[int, str]:
    """Sort key: the paper's benchmarks in the order of its table 2, any other after them by name."""
    return ([*BENCHMARKS, benchmark].index(benchmark), benchmark)


def benchmarks_of(outcomes: Outcomes) -> list[str]:
    """The benchmarks that were asked, in their order."""
    return sorted({item.source for item in outcomes.benchmarks.values()}, key=order_of)


def table2(outcomes: Outcomes) -> dict[Arm, dict[str, Proportion]]:
    """Accuracy of every arm on every benchmark."""
    groups = _group(outcomes, lambda item: item.source)
    return {
        arm: {name: accuracy(groups[name], outcomes.headline(arm)) for name in benchmarks_of(outcomes)}
        for arm in outcomes.arms
    }


def mean_accuracy(row: Mapping[str, Proportion]) -> Fraction:
    """The Average column: plain mean of the benchmarks, whatever their sizes."""
    return mean([cell.exact for cell in row.values()])


def table3(outcomes: Outcomes) -> dict[Arm, dict[str, Proportion]]:
    """MMMU by difficulty, and overall (the paper's table 3)."""
    mmmu = [item for item in outcomes.benchmarks.values() if item.source == "mmmu"]
    levels: dict[str, list[PromptRow]] = {
        level: [item for item in mmmu if item.meta.get("difficulty") == level] for level in DIFFICULTIES
    }
    levels["Overall"] = mmmu
    return {
        arm: {level: accuracy(items, outcomes.headline(arm)) for level, items in levels.items() if items}
        for arm in outcomes.arms
    }


def by_steps(outcomes: Outcomes) -> dict[Arm, dict[Modality, dict[int, Proportion]]]:
    """Accuracy by where the facts stand and by the number of steps; all benchmarks pooled.

    Items whose facts stand in text and picture alike belong to neither modality.
    """
    groups = {modality: _group(outcomes, partial(_steps_in, modality=modality)) for modality in MODALITIES}
    return {
        arm: {
            modality: {steps: accuracy(items, outcomes.headline(arm)) for steps, items in by_k.items()}
            for modality, by_k in groups.items()
        }
        for arm in outcomes.arms
    }


def lengths(outcomes: Outcomes) -> dict[Arm, dict[int, float]]:
    """Mean tokens of the thought by number of steps, right and wrong answers alike."""
    groups = _group(outcomes, lambda item: item.num_steps)
    return {
        arm: {steps: _mean_thought(items, outcomes.headline(arm)) for steps, items in groups.items()}
        for arm in outcomes.arms
    }


def benchmark_lengths(outcomes: Outcomes) -> dict[Arm, dict[str, float]]:
    """Mean tokens of the thought by benchmark (the paper's figure 2)."""
    groups = _group(outcomes, lambda item: item.source)
    return {
        arm: {name: _mean_thought(groups[name], outcomes.headline(arm)) for name in benchmarks_of(outcomes)}
        for arm in outcomes.arms
    }


def glyphs(outcomes: Outcomes) -> dict[Arm, dict[str, Proportion]]:
    """Accuracy on purely visual items by the fonts of their pictures: seen in training, or held out of it."""
    groups = _group(outcomes, lambda item: item.meta.get("glyphs") if item.modality == "visual" else None)
    order = sorted(groups, reverse=True)
    return {
        arm: {name: accuracy(groups[name], outcomes.headline(arm)) for name in order} for arm in outcomes.arms
    }


def repetition_penalties(outcomes: Outcomes) -> dict[Arm, dict[float, Proportion]]:
    """Accuracy over all benchmarks pooled, under every repetition penalty that was run."""
    items = list(outcomes.benchmarks.values())
    return {
        arm: {penalty: accuracy(items, answers) for penalty, answers in sorted(outcomes.scores[arm].items())}
        for arm in outcomes.arms
    }


def unparsed(outcomes: Outcomes) -> dict[Arm, int]:
    """Responses on the benchmarks from which no answer could be read."""
    return {
        arm: sum(not answer.parsed for answer in outcomes.headline(arm).values()) for arm in outcomes.arms
    }


def dev_accuracy(outcomes: Outcomes) -> dict[Arm, Proportion]:
    """Accuracy on the dev split."""
    return {arm: accuracy(outcomes.dev.values(), outcomes.headline_dev(arm)) for arm in outcomes.arms}


def best_model(outcomes: Outcomes) -> Arm:
    """The arm with the highest accuracy on dev, never on a benchmark; the first among equals."""
    on_dev = dev_accuracy(outcomes)
    return max(on_dev, key=lambda arm: on_dev[arm].exact)


def _group(outcomes: Outcomes, key: Callable[[PromptRow], Key | None]) -> dict[Key, list[PromptRow]]:
    groups: dict[Key, list[PromptRow]] = {}
    for item in outcomes.benchmarks.values():
        if (name := key(item)) is not None:
            groups.setdefault(name, []).append(item)
    return {name: groups[name] for name in sorted(groups)}


def _steps_in(item: PromptRow, modality: Modality) -> int | None:
    return item.num_steps if item.modality == modality else None


def _mean_thought(items: list[PromptRow], answers: Answers) -> float:
    return sum(answers[item.id].num_thought_tokens for item in items) / len(items)

"""The figures of summary.json."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar, get_args

from spica.answers.modes import PUBLISHED
from spica.answers.proportion import proportion
from spica.answers.types import UNJUDGED
from spica.artifacts.types import GOLD_UNPARSED, PromptRow, Score
from spica.evaluate import tasks
from spica.evaluate.agreement import Agreement
from spica.evaluate.items import DEV, Item
from spica.recipe.schema import Arm, Endpoint, Modality

SCHEMA_VERSION = 2
MODALITIES: tuple[Modality, ...] = get_args(Modality)
NOT_AVAILABLE = "n/a"
_LENGTHS = (
    "num_tokens",
    "num_thought_tokens",
    "num_solution_tokens",
    "num_thought_words",
    "num_solution_words",
)
Pair = tuple[PromptRow, Score]
Key = TypeVar("Key", int, str)


def summarise(
    arm: Arm, items: Sequence[Item], scores: Sequence[Score], repetition_penalties: Sequence[float]
) -> dict[str, Any]:
    """Everything worth knowing about one arm; the first penalty is the headline.

    by_repetition_penalty[penalty] holds `benchmarks[name]`, `mean` (plain mean over the benchmarks, as in
    table 2), `dev`, and over the benchmarks `by_steps[modality][k]`, `thought_tokens[k]` (mean),
    `num_unparsed` (no answer could be read), `num_cut` (reached max_tokens) and `num_unjudged`. A benchmark
    is `{accuracy, ci95, n, num_unjudged, modes, lengths, truncated, no_answer, num_gold_unparsed,
    groups[axis][value]}`; `modes` has `official` and `fork`, each `n/a` or `{accuracy, ci95, n,
    num_unjudged}` over the responses that were judged; `lengths` are means; `truncated` and `no_answer` are
    shares of the responses. Accuracies lie in 0..1; the headline counts an unjudged response as not right.
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


def judge_card(endpoint: Endpoint | None, num_calls: int, agreed: Agreement | None) -> dict[str, Any] | None:
    """Who judged words, how often, and how far to be trusted; None without a judge."""
    if endpoint is None or agreed is None:
        return None
    return {"model": endpoint.model, "num_calls": num_calls, "golden": agreed._asdict()}


def flatten(summary: Mapping[str, Any]) -> dict[str, float | int | str]:
    """The headline as metrics of the artifact: accuracy.NAME per benchmark, mean, dev, counts, the judge."""
    headline = summary["by_repetition_penalty"][str(summary["headline_repetition_penalty"])]
    metrics: dict[str, float | int | str] = {
        f"accuracy.{name}": cell["accuracy"] for name, cell in headline["benchmarks"].items()
    }
    if judge := summary.get("judge"):
        kappa = judge["golden"]["kappa"]
        metrics |= {"num_judge_calls": judge["num_calls"]} | ({} if kappa is None else {"judge_kappa": kappa})
    return metrics | {
        "accuracy.mean": headline["mean"],
        "accuracy.dev": headline["dev"]["accuracy"],
        "num_questions": sum(cell["n"] for cell in headline["benchmarks"].values()) + headline["dev"]["n"],
        "num_unparsed": headline["num_unparsed"],
        "num_cut": headline["num_cut"],
        "num_unjudged": headline["num_unjudged"],
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
            str(k): _mean(score.num_thought_tokens for _, score in group)
            for k, group in sorted(_group(asked, _num_steps).items())
        },
        "num_unparsed": sum(score.extracted is None for _, score in asked),
        "num_cut": sum(score.finish_reason == "length" for _, score in asked),
        "num_unjudged": sum(score.method == UNJUDGED for _, score in asked),
    }


def _benchmark(name: str, pairs: Sequence[Pair]) -> dict[str, Any]:
    by_axis: dict[str, dict[str, list[Pair]]] = {}
    for pair in pairs:
        for axis, group in tasks.groups(name, pair[0]).items():
            by_axis.setdefault(axis, {}).setdefault(group, []).append(pair)
    return {
        **_accuracy(pairs),
        "num_unjudged": sum(score.method == UNJUDGED for _, score in pairs),
        "modes": {mode: _mode(name, mode, pairs) for mode in ("official", "fork")},
        "lengths": {length: _mean(getattr(score, length) for _, score in pairs) for length in _LENGTHS},
        "truncated": _mean(score.finish_reason == "length" for _, score in pairs),
        "no_answer": _mean(score.extracted is None for _, score in pairs),
        "num_gold_unparsed": sum(GOLD_UNPARSED in row.meta for row, _ in pairs),
        "groups": {axis: _each(groups) for axis, groups in by_axis.items()},
    }


def _mode(name: str, mode: Literal["official", "fork"], pairs: Sequence[Pair]) -> dict[str, Any] | str:
    if name not in PUBLISHED[mode]:
        return NOT_AVAILABLE
    verdicts = [score.official if mode == "official" else score.fork for _, score in pairs]
    judged = proportion(verdict for verdict in verdicts if verdict is not None)
    return {
        "accuracy": judged.accuracy if judged.n else None,
        "ci95": list(judged.ci95),
        "n": judged.n,
        "num_unjudged": verdicts.count(None),
    }


def _accuracy(pairs: Iterable[Pair]) -> dict[str, Any]:
    share = proportion(score.correct for _, score in pairs)
    return {"accuracy": share.accuracy, "ci95": list(share.ci95), "n": share.n}


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found)


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

"""The same responses scored in three ways, compared in pairs, and measured."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, get_args

from spica.answers.modes import PUBLISHED
from spica.answers.proportion import Proportion, proportion
from spica.answers.types import Mode
from spica.artifacts.types import PromptRow
from spica.recipe.schema import Arm
from spica.report.outcomes import Outcome, Outcomes
from spica.report.stats import Gain, mcnemar, paired_gain
from spica.report.tables import benchmarks_of

MODES: tuple[Mode, ...] = get_args(Mode)
POOLED = "all"
"""Name of all benchmarks together."""


class ModeCell(NamedTuple):
    """Accuracy of one arm on one benchmark in one mode.

    Attributes:
        share: Of the responses that were judged; of all in mode `repaired`, where one that nobody could judge
            counts as not right. None where the mode does not exist (n/a) or nothing was judged.
        num_unjudged: Responses that needed a language model's judgement and got none.
        exists: False: n/a.
    """

    share: Proportion | None
    num_unjudged: int
    exists: bool


class PairedTest(NamedTuple):
    """Two arms on the same items."""

    gain: Gain
    p: float
    """McNemar, exact, two-sided."""


class Responses(NamedTuple):
    """What the responses of one arm to one benchmark look like; lengths are means, the last two shares."""

    thought_tokens: float
    solution_tokens: float
    thought_words: float
    solution_words: float
    truncated: float
    no_answer: float


def modes(outcomes: Outcomes) -> dict[Arm, dict[str, dict[Mode, ModeCell]]]:
    """Accuracy of every arm on every benchmark in every mode."""
    return {
        arm: {
            name: {mode: _cell(name, mode, answers) for mode in MODES}
            for name, answers in _by_benchmark(outcomes, arm).items()
        }
        for arm in outcomes.arms
    }


def paired_tests(outcomes: Outcomes) -> dict[Arm, dict[Arm, dict[str, PairedTest]]]:
    """Every arm over every arm before it, per benchmark and over all of them; mode `repaired`."""
    groups = _items(outcomes)
    groups[POOLED] = [item for items in groups.values() for item in items]
    return {
        arm: {
            over: {
                name: _paired(items, outcomes.headline(arm), outcomes.headline(over))
                for name, items in groups.items()
            }
            for over in outcomes.arms[:place]
        }
        for place, arm in enumerate(outcomes.arms)
        if place
    }


def responses(outcomes: Outcomes) -> dict[Arm, dict[str, Responses]]:
    """Lengths and rates of every arm on every benchmark."""
    return {
        arm: {name: _measured(answers) for name, answers in _by_benchmark(outcomes, arm).items()}
        for arm in outcomes.arms
    }


def _items(outcomes: Outcomes) -> dict[str, list[PromptRow]]:
    items = outcomes.benchmarks.values()
    return {name: [item for item in items if item.source == name] for name in benchmarks_of(outcomes)}


def _by_benchmark(outcomes: Outcomes, arm: Arm) -> dict[str, list[Outcome]]:
    answers = outcomes.headline(arm)
    return {name: [answers[item.id] for item in items] for name, items in _items(outcomes).items()}


def _cell(name: str, mode: Mode, answers: Sequence[Outcome]) -> ModeCell:
    if name not in PUBLISHED[mode]:
        return ModeCell(None, 0, exists=False)
    if mode == "repaired":
        unjudged = sum(answer.unjudged for answer in answers)
        return ModeCell(proportion(answer.correct for answer in answers), unjudged, exists=True)
    verdicts = [answer.official if mode == "official" else answer.fork for answer in answers]
    share = proportion(verdict for verdict in verdicts if verdict is not None)
    return ModeCell(share if share.n else None, verdicts.count(None), exists=True)


def _paired(
    items: Sequence[PromptRow], model: Mapping[str, Outcome], over: Mapping[str, Outcome]
) -> PairedTest:
    pairs = [(model[item.id].correct, over[item.id].correct) for item in items]
    return PairedTest(paired_gain(pairs), mcnemar(pairs))


def _measured(answers: Sequence[Outcome]) -> Responses:
    n = len(answers)
    return Responses(
        thought_tokens=sum(answer.num_thought_tokens for answer in answers) / n,
        solution_tokens=sum(answer.num_solution_tokens for answer in answers) / n,
        thought_words=sum(answer.num_thought_words for answer in answers) / n,
        solution_words=sum(answer.num_solution_words for answer in answers) / n,
        truncated=sum(answer.cut for answer in answers) / n,
        no_answer=sum(not answer.parsed for answer in answers) / n,
    )

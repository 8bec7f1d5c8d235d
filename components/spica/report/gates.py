"""Gates: the claims of a recipe, checked on the scores."""

from collections.abc import Sequence
from typing import NamedTuple

from spica.artifacts.types import PromptRow
from spica.recipe.schema import Gate
from spica.report.outcomes import Outcomes
from spica.report.stats import Gain, paired_gain, percent


class GateResult(NamedTuple):
    """A gate and what came of it; gain and interval as shares (0.4 = 40 points)."""

    gate: Gate
    gain: Gain
    passed: bool
    reason: str


def check_gates(gates: Sequence[Gate], outcomes: Outcomes) -> list[GateResult]:
    """Check every gate; a failed one is a result, not an error."""
    return [check_gate(gate, outcomes) for gate in gates]


def check_gate(gate: Gate, outcomes: Outcomes) -> GateResult:
    """Compare `gate.model` with `gate.over` on the items the gate names.

    min_gain passes when the gain reaches it and the 95 % interval lies above zero; max_gain when the gain
    does not exceed it and its interval does not lie above zero. Without any item nothing is shown, so the
    gate fails.
    """
    items = items_of(gate, outcomes)
    model, over = outcomes.headline(gate.model), outcomes.headline(gate.over)
    gain = paired_gain([(model[item.id].correct, over[item.id].correct) for item in items])
    faults = _faults(gate, gain)
    return GateResult(gate, gain, not faults, "; ".join(faults) or _praise(gate, gain))


def items_of(gate: Gate, outcomes: Outcomes) -> list[PromptRow]:
    """The benchmark items a gate pools."""
    return [
        item
        for item in outcomes.benchmarks.values()
        if gate.benchmark in (None, item.source)
        and gate.modality in (None, item.modality)
        and (
            gate.steps is None
            or (item.num_steps is not None and gate.steps[0] <= item.num_steps <= gate.steps[1])
        )
    ]


def _faults(gate: Gate, gain: Gain) -> list[str]:
    if not gain.n:
        return ["no item matches this gate"]
    faults = []
    if gate.min_gain is not None and gain.gain < gate.min_gain:
        faults.append(f"a gain of {points(gain.gain)} is below the required {points(gate.min_gain)}")
    if gate.min_gain is not None and gain.ci95[0] <= 0:
        faults.append(f"the 95 % interval {interval(gain)} is not above zero")
    if gate.max_gain is not None and gain.gain > gate.max_gain:
        faults.append(f"a gain of {points(gain.gain)} exceeds the allowed {points(gate.max_gain)}")
    if gate.max_gain is not None and gain.ci95[0] > 0:
        faults.append(f"the 95 % interval {interval(gain)} lies above zero")
    return faults


def _praise(gate: Gate, gain: Gain) -> str:
    bounds = []
    if gate.min_gain is not None:
        bounds.append(f"reaches the required {points(gate.min_gain)} and its 95 % interval lies above zero")
    if gate.max_gain is not None:
        bounds.append(f"stays within the allowed {points(gate.max_gain)}")
    return f"a gain of {points(gain.gain)} " + (" and ".join(bounds) or "has no bound to meet")


def points(share: float, digits: int = 1) -> str:
    """A difference of shares in percentage points with its sign: 0.774 -> "+77.4"."""
    text = percent(abs(share), digits)
    return text if float(text) == 0 else ("+" if share > 0 else "\N{MINUS SIGN}") + text


def interval(gain: Gain, digits: int = 1) -> str:
    """The 95 % interval in points: "74.1..80.2"."""
    return "..".join(points(end, digits).removeprefix("+") for end in gain.ci95)

"""The finding in one sentence, made of the numbers."""

from typing import NamedTuple

from spica.recipe.schema import Gate
from spica.report.gates import GateResult, check_gate, interval, points
from spica.report.outcomes import Outcomes, thinker
from spica.report.stats import percent

BENCHMARK_NAMES = {
    "mathverse": "MathVerse",
    "mathvision": "MathVision",
    "olympiadbench": "OlympiadBench",
    "mmmu": "MMMU",
}
_SUBJECTS = {
    "base": "The base model",
    "control": "Short answers",
    "D_T": "Text-only thoughts",
    "D_SD": "Self-distilled visual thoughts",
    "D_T+D_SD": "Text-only and self-distilled thoughts together",
    "D_QVQ": "Visual thoughts of another teacher",
    "D_T+D_QVQ": "Text-only and visual thoughts together",
}


class Headline(NamedTuple):
    """The sentence in parts, so that a page can set its numbers apart; `text` is the whole."""

    subject: str
    claim: str
    before: str
    after: str
    evidence: str
    result: GateResult

    @property
    def text(self) -> str:
        return f"{self.subject} {self.claim} from {self.before} to {self.after} ({self.evidence})"


def headline(results: list[GateResult], outcomes: Outcomes) -> Headline:
    """Tell the first gate that asks for a gain; without one, text-only thoughts (or what else is there)."""
    asked = [result for result in results if result.gate.min_gain is not None]
    default = Gate(name="headline", model=thinker(outcomes.arms), over="base", modality="visual")
    result = asked[0] if asked else check_gate(default, outcomes)
    gain = result.gain
    clear = gain.ci95[0] > 0 or gain.ci95[1] < 0
    verb = ("lifted" if gain.gain > 0 else "lowered") if clear else "did not clearly move"
    return Headline(
        _SUBJECTS[result.gate.model],
        f"{verb} {describe(result.gate)}",
        f"{percent(gain.over.exact, 0)} %",
        f"{percent(gain.model.exact, 0)} %",
        f"{points(gain.gain, 0)} points, 95 % CI {interval(gain, 0)}",
        result,
    )


def describe(gate: Gate) -> str:
    """What a gate looks at: "visual accuracy", "MathVerse accuracy" ..."""
    words = [gate.modality or "", BENCHMARK_NAMES.get(gate.benchmark or "", ""), "accuracy"]
    return " ".join(word for word in words if word)


def scope(gate: Gate) -> str:
    """Which items a gate pools, in words."""
    where = BENCHMARK_NAMES.get(gate.benchmark or "", "all benchmarks pooled")
    facts = {"visual": "facts in the picture only", "text": "facts in the text only"}.get(
        gate.modality or "", ""
    )
    steps = f"{gate.steps[0]} to {gate.steps[1]} steps" if gate.steps else ""
    return ", ".join(part for part in (where, facts, steps) if part)

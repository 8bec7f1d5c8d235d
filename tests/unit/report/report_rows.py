"""Outcomes written out by hand."""

from collections.abc import Mapping, Sequence

from spica.artifacts.types import Gold, PromptRow
from spica.recipe.schema import M0, compared_arms
from spica.report.outcomes import Outcome, Outcomes

ARMS = compared_arms(M0)


def item(
    id: str,
    source: str = "mathverse",
    modality: str = "visual",
    num_steps: int | None = 2,
    meta: Mapping[str, str] | None = None,
) -> PromptRow:
    gold = Gold(kind="number", value="7")
    return PromptRow.model_validate(
        {
            "id": id,
            "source": source,
            "question": "c+h=?",
            "gold": gold,
            "modality": modality,
            "num_steps": num_steps,
            "meta": dict(meta or {}),
        }
    )


def outcomes(
    items: Sequence[PromptRow],
    right: Mapping[str, str],
    dev_right: Mapping[str, str] | None = None,
    thoughts: Mapping[str, Sequence[int]] | None = None,
) -> Outcomes:
    """`right[arm]` is one character per item, 1 for a right answer; arms left out are wrong everywhere."""
    dev = [
        item(f"dev-{place}", "dev") for place in range(max(map(len, (dev_right or {}).values()), default=0))
    ]

    def answers(rows: Sequence[PromptRow], marks: str, lengths: Sequence[int]) -> dict[str, Outcome]:
        padded = marks.ljust(len(rows), "0")
        return {
            row.id: Outcome(padded[place] == "1", True, 20, lengths[place] if lengths else 0)
            for place, row in enumerate(rows)
        }

    return Outcomes(
        {row.id: row for row in items},
        {row.id: row for row in dev},
        {arm: {1.0: answers(items, right.get(arm, ""), (thoughts or {}).get(arm, ()))} for arm in ARMS},
        {arm: {1.0: answers(dev, (dev_right or {}).get(arm, ""), ())} for arm in ARMS},
        1.0,
    )

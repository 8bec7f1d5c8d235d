"""card.json: what a data set holds and what was left out of it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from spica.artifacts.types import ChatRow
from spica.dataset.clean import Cleaned, Refused

MAX_EXAMPLES = 20


def card(
    rows: Sequence[ChatRow],
    num_val: int,
    response: str,
    num_unsolved: int,
    verdicts: Mapping[str, int],
    cleaned: Cleaned,
) -> dict[str, Any]:
    """Counts per source and number of steps, lengths, and everything refused with its reason.

    Args:
        rows: Training and validation rows.
        num_val: How many of them are held out.
        response: `thought` or `answer`.
        num_unsolved: Questions without a correct rollout.
        verdicts: How many rollouts of all questions got which verdict.
        cleaned: What was sorted out.
    """
    extra = [row.model_extra or {} for row in rows]
    unit, lengths = (
        ("tokens", [one["num_tokens"] for one in extra])
        if response == "thought"
        else (
            "characters",
            [len(row.messages[-1].content) for row in rows],
        )
    )
    rejected = {verdict: num for verdict, num in verdicts.items() if verdict != "correct"}
    reasons = Counter(one.reason.partition(": ")[2] or one.reason for one in cleaned.quarantined)
    return {
        "response": response,
        "num_rows": len(rows),
        "num_val": num_val,
        "num_with_pictures": sum(bool(row.images) for row in rows),
        "num_by_source": _counts(one["source"] for one in extra),
        "num_by_num_steps": _counts(one["num_steps"] for one in extra if one["num_steps"] is not None),
        "response_length": {"unit": unit, **_lengths(lengths)},
        "refused": {
            "unsolved": {"num": num_unsolved, "reason": "no rollout was correct"},
            "rollouts": {"num": sum(rejected.values()), "reasons": rejected},
            "quarantined": {
                "num": len(cleaned.quarantined),
                "reasons": dict(reasons.most_common(MAX_EXAMPLES)),
            },
            "duplicates": _refused(cleaned.duplicates, "same question and pixels as another row"),
            "contaminated": _refused(
                cleaned.contaminated, "same question and pixels as a benchmark or dev row"
            ),
        },
    }


def _counts(values: Iterable[Any]) -> dict[str, int]:
    counts = Counter(values)
    return {str(value): counts[value] for value in sorted(counts)}


def _lengths(lengths: Sequence[int]) -> dict[str, Any]:
    """Extremes, mean, and a histogram whose bins double: up to 16, 17 to 32, 33 to 64, ..."""
    bins = Counter(max(16, 1 << max(length - 1, 0).bit_length()) for length in lengths)
    histogram = {f"{1 if top == 16 else top // 2 + 1}-{top}": bins[top] for top in sorted(bins)}
    return {
        "min": min(lengths),
        "mean": round(sum(lengths) / len(lengths), 1),
        "max": max(lengths),
        "histogram": histogram,
    }


def _refused(refused: Sequence[Refused], reason: str) -> dict[str, Any]:
    return {
        "num": len(refused),
        "reason": reason,
        "examples": [one._asdict() for one in refused[:MAX_EXAMPLES]],
    }

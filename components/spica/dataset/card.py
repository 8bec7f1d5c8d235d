"""card.json: what a data set holds and what was left out of it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from spica.artifacts.types import ChatRow
from spica.dataset.clean import Cleaned, Refused
from spica.dataset.select import Selected, bin_name

MAX_EXAMPLES = 20
COUNTED = ("domain", "source", "teacher", "license", "pass_rate", "num_steps")
"""Keys of rows by whose values a card counts; "none" are those without one."""

CHARACTERS = "characters"
"""Unit of lengths where rows without a number of tokens are among those counted."""


def contents(rows: Sequence[ChatRow], num_val: int, response: str, unit: str) -> dict[str, Any]:
    """What a set holds, from its rows alone.

    Args:
        rows: Training and validation rows.
        num_val: How many of them are held out.
        response: `thought` or `answer`.
        unit: What `num_tokens` of the rows counts: the teacher's or the student's tokens.
    """
    extra = [row.model_extra or {} for row in rows]
    lengths = [one.get("num_tokens") or 0 for one in extra]
    tokens = bool(rows) and all(lengths)
    if not tokens:  # short answers
        lengths, unit = [len(row.messages[-1].content) for row in rows], CHARACTERS
    by_bin = {"num_by_length_bin": _counts(bin_name(length) for length in lengths)} if tokens else {}
    return {
        "response": response,
        "num_rows": len(rows),
        "num_val": num_val,
        "num_with_pictures": sum(bool(row.images) for row in rows),
        **{f"num_by_{key}": _counts(one.get(key) for one in extra) for key in COUNTED},
        **by_bin,
        "response_length": {"unit": unit, **_lengths(lengths)},
    }


def refused(
    num_unsolved: int, verdicts: Mapping[str, int], cleaned: Cleaned, selected: Selected
) -> dict[str, Any]:
    """What was left out, with its reasons.

    Args:
        num_unsolved: Questions without a correct rollout.
        verdicts: How many rollouts of all questions got which verdict.
        cleaned: What was sorted out.
        selected: What was chosen of the rest.
    """
    rejected = {verdict: num for verdict, num in verdicts.items() if verdict != "correct"}
    reasons = Counter(one.reason.partition(": ")[2] or one.reason for one in cleaned.quarantined)
    return {
        "unsolved": {"num": num_unsolved, "reason": "no rollout was kept"},
        "rollouts": {"num": sum(rejected.values()), "reasons": rejected},
        "quarantined": {
            "num": len(cleaned.quarantined),
            "reasons": dict(reasons.most_common(MAX_EXAMPLES)),
        },
        "duplicates": _refused(cleaned.duplicates, "same question and pixels as another row"),
        "contaminated": _refused(cleaned.contaminated, "asked by a benchmark or dev; see contamination.json"),
        "near_hits": {"num": len(cleaned.findings.near_hits), "reason": "kept; see contamination.json"},
        "other_length": {"num": selected.num_other_length, "reason": "outside of length_bin"},
        "not_drawn": {"num": selected.num_not_drawn, "reason": "more than num_rows"},
    }


def _counts(values: Iterable[Any]) -> dict[str, int]:
    counts = Counter("none" if value in (None, "") else value for value in values)
    return {str(value): counts[value] for value in sorted(counts, key=lambda one: (str(type(one)), one))}


def _lengths(lengths: Sequence[int]) -> dict[str, Any]:
    """Extremes, mean, and a histogram whose bins double: up to 16, 17 to 32, 33 to 64, ..."""
    if not lengths:
        return {}
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

"""Equality by computer algebra; runs in the worker's child only, never in a caller's process."""

from math_verify import LatexExtractionConfig, parse, verify

WORKER_FUNCTIONS = ("equal",)

_CONFIG = (LatexExtractionConfig(boxed_match_priority=0),)

parse(
    "$\\frac{1}{2}$", _CONFIG, parsing_timeout=None
)  # the grammar's tables, which no verdict should wait for


def equal(answer: str, gold: str) -> bool:
    """Whether Math-Verify finds two formulas in LaTeX equal, in either order."""
    given, right = (
        parse(f"${text}$", _CONFIG, fallback_mode="no_fallback", parsing_timeout=None)
        for text in (answer, gold)
    )
    return bool(given and right) and bool(verify(right, given, timeout_seconds=None))

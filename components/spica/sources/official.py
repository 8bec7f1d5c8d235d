"""What the loaders of the four benchmarks share: golds kept whatever they hold, lists written as text."""

import ast
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from spica.answers.compare import gold_fault
from spica.artifacts.types import GOLD_UNPARSED, Gold
from spica.sources.draft import BadRowError
from spica.sources.golds import parse_gold

_MAX_LITERAL = 20_000
_MATH = re.compile(r"[\\\d=^_+*/<>|()\[\]]|\A\$?[A-Za-z]{1,2}\$?\Z")


def official_gold(answer: str, options: Sequence[str] = (), **keys: Any) -> tuple[Gold, dict[str, str]]:
    """The typed gold, and what meta says of it.

    A gold that does not parse stays as published, with the reason in meta's `gold_unparsed`: a question less
    would give another accuracy.

    Args:
        answer: As the benchmark writes it.
        options: Option values in letter order.
        keys: Further fields of Gold.
    """
    try:
        gold = parse_gold(answer, options)
    except BadRowError as error:
        return Gold(kind="text", value=answer, options=tuple(options), **keys), {GOLD_UNPARSED: str(error)}
    if gold.kind == "text" and _MATH.search(answer):
        gold = Gold(kind="math", value=_bare(answer))
        fault = gold_fault(gold)
        return gold.model_copy(update=keys), {GOLD_UNPARSED: fault} if fault else {}
    return gold.model_copy(update=keys), {}


def _bare(answer: str) -> str:
    """Without the dollar signs around all of it."""
    text = answer.strip()
    inner = text[1:-1]
    return inner.strip() if len(text) > 2 and text[0] == text[-1] == "$" and "$" not in inner else text


def text_list(value: Any, key: str, max_items: int) -> list[str]:
    """A list of texts, its repr, or nothing at all; only literals are read, nothing is run.

    Raises:
        BadRowError: It is none of these.
    """
    if value is None or value == "":
        return []
    if hasattr(value, "tolist"):  # parquet readers may hand arrays on
        value = value.tolist()
    if isinstance(value, str) and len(value) <= _MAX_LITERAL:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # LaTeX in a repr looks like an unknown escape
                value = ast.literal_eval(value)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
            raise BadRowError(f"{key}: a list of texts, or its repr, is needed") from error
    if (
        not isinstance(value, list | tuple)
        or len(value) > max_items
        or not all(isinstance(item, str | int | float) for item in value)
    ):
        raise BadRowError(f"{key}: a list of up to {max_items} texts is needed")
    return [str(item) for item in value]


def is_true(value: Any) -> bool:
    """A truth value, also as text."""
    return str(value).strip().lower() in ("true", "1")


def mapping(value: Any) -> Mapping[str, Any]:
    """An object, also as the repr of one; empty for anything else."""
    if isinstance(value, str) and len(value) <= _MAX_LITERAL:
        try:
            value = ast.literal_eval(value)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            return {}
    return value if isinstance(value, Mapping) else {}

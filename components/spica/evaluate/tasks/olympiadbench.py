"""OlympiadBench (He et al. 2024, arXiv 2402.14008), open-ended: 6,728 items in ten subsets.

One micro accuracy over all items, reported by pictures (mm) or text, by subset, and by language and field,
which the subset's name holds: OE_MM_maths_en_COMP (protocol C3; Virgo's printed labels for mm and text are
swapped). Several answers to one question may come in any order, as the official judge has it. Its tolerance
per question (`error`) and its symbolic equality are not applied: numbers compare within 1e-6.
"""

import json
from itertools import permutations

from spica.artifacts.types import Gold, PromptRow
from spica.evaluate.tasks.plain import pick

MAX_REORDERED = 5
"""More answers than these must come in the official order (5! = 120 orders are tried)."""


def groups(row: PromptRow) -> dict[str, str]:
    """By mm or text, subset, language, field, answer type."""
    found = {"part": "mm" if row.images else "text", **pick(row, "subset")}
    names = row.meta.get("subset", "").split("_")
    if len(names) == 5:
        found |= {"part": "mm" if names[1] == "MM" else "text", "language": names[3], "field": names[2]}
    return found | pick(row, "answer_type", "glyphs")


def golds(row: PromptRow) -> list[Gold]:
    """The gold answer; several answers in every order."""
    answers = json.loads(row.meta.get("answers", "[]"))
    if not 1 < len(answers) <= MAX_REORDERED:
        return [row.gold]
    orders = dict.fromkeys(permutations(answers))
    return [row.gold.model_copy(update={"value": ", ".join(order)}) for order in orders]

"""Writes the pairs of olympiadbench.jsonl, without the programs' verdicts, to standard output.

Each class is a template with drawn values; it knows by construction whether an answer is right. `telling`
answers are those that a published program is known to get wrong, or that the two see differently.
"""

import json
import random
import sys
from collections.abc import Callable
from random import Random

import expressions
import lists
import places
import values
import words
from case import Case

PER_CLASS = 44
SEED = 20250104

CLASSES: tuple[Callable[[Random], Case], ...] = (
    *values.CLASSES,
    *expressions.CLASSES,
    *lists.CLASSES,
    *words.CLASSES,
    *places.CLASSES,
)

ENGLISH_FRAMES = (
    r"So the final answer is \boxed{@}.",
    "We solve it.\nSo the final answer is \\boxed{@}.",
    r"Thus $\boxed{@}$.",
    r"\boxed{@}",
    "So\n\\[\n\\boxed{@}\n\\]",
)
CHINESE_FRAMES = (
    r"所以最终答案是\boxed{@}。",
    "由题意得。\n所以最终答案是\\boxed{@}。",
    r"答案为$\boxed{@}$。",
)


def row(r: Random, template: Callable[[Random], Case]) -> dict[str, object]:
    case = template(r)
    answer, truth = r.choice(case.telling if r.random() < 0.62 else case.plain)
    language = case.language or r.choices(["English", "Chinese"], [7, 3 if case.framed else 0])[0]
    response = (
        r.choice(CHINESE_FRAMES if language == "Chinese" else ENGLISH_FRAMES).replace("@", answer)
        if case.framed
        else answer
    )
    gold = case.gold
    if isinstance(gold, str) and r.random() < 0.4:
        gold = f"${gold}$"
    return {
        "class": template.__name__,
        "gold": gold,
        "response": response,
        "answer_type": case.type,
        "error": case.error,
        "unit": case.unit,
        "language": language,
        "truth": truth,
    }


def main() -> None:
    for template in CLASSES:
        r = random.Random(f"{SEED} {template.__name__}")
        seen: dict[str, dict[str, object]] = {}
        while len(seen) < PER_CLASS:
            drawn = row(r, template)
            seen.setdefault(json.dumps([drawn["gold"], drawn["response"]]), drawn)
        for number, drawn in enumerate(seen.values()):
            sys.stdout.write(
                json.dumps({"id": f"{template.__name__}-{number:02}", **drawn}, ensure_ascii=False) + "\n"
            )


if __name__ == "__main__":
    main()

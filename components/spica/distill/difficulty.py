"""The difficulty split of table 6 (protocol B3): what the base cannot do, and M0 does often or sometimes.

Step 1: the base answers every question once, greedily; those that it gets right are dropped. Step 2: of the
rest, medium are the questions that M0 solves in 4 or 5 of its 5 rollouts, hard those that it solves in 2 or
3.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from spica.artifacts.types import Rollout
from spica.recipe.schema import Prompt, Rollouts
from spica.recipe.slices import DistillSlice

NUM_CORRECT: Mapping[str, Collection[int]] = {"medium": (4, 5), "hard": (2, 3)}
"""Correct rollouts of five (table 6)."""

OFFICIAL_PREFIX = r"Answer the question and put the final answer in \boxed{}."
"""Ours: the sources of visual questions have no official prompt, and the paper does not print what the base
was asked. It asks for a box, without which no answer could be read, and for no thought."""


def for_base(slice: DistillSlice) -> DistillSlice:
    """How the base is asked: by its own prompt, once, greedily."""
    prompt = slice.prompt
    if slice.base_prompt == "official":
        prompt = Prompt(system=prompt.system, prefix=OFFICIAL_PREFIX)
    max_tokens = slice.rollouts.max_tokens
    greedy = Rollouts(teacher="base", num_rollouts=1, temperature=0.0, max_tokens=max_tokens)
    return slice.model_copy(update={"prompt": prompt, "rollouts": greedy})


def solved(answers: Iterable[Rollout]) -> set[str]:
    """Questions that the base gets right; it may do so without any thought in its markers."""
    return {answer.id for answer in answers if answer.verdict in ("correct", "malformed")}


def of_difficulty(rollouts: Iterable[Rollout], difficulty: str) -> set[str]:
    """Questions with so many correct rollouts as the level wants."""
    counts = Counter(rollout.id for rollout in rollouts if rollout.verdict == "correct")
    return {id for id, count in counts.items() if count in NUM_CORRECT[difficulty]}

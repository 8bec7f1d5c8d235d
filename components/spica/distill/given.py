"""Responses that came with the questions: judged like any other, never asked for."""

from spica.answers import has_thought, judge
from spica.artifacts.responses import Response
from spica.artifacts.types import GOLD_UNPARSED, PromptRow, Rollout, RolloutVerdict
from spica.chat import prompt_digest
from spica.chat.types import Message
from spica.recipe.slices import DistillSlice


def is_askable(row: PromptRow) -> bool:
    """Whether an answer to the question could be accepted."""
    return GOLD_UNPARSED not in row.meta


def given_rollout(slice: DistillSlice, row: PromptRow, given: Response) -> Rollout:
    """The one rollout of a question whose response is there already.

    Where the right answer cannot be compared (code, puzzles), its publisher's acceptance stands for a
    verdict.
    """
    response = given.response.strip()
    verdict: RolloutVerdict = judge(response, "stop", row.gold) if is_askable(row) else "correct"
    if verdict == "correct" and not has_thought(response):
        verdict = "malformed"
    asked: list[Message] = [{"role": "user", "content": row.question}]
    return Rollout(
        id=row.id,
        index=0,
        teacher=given.teacher,
        prompt_digest=prompt_digest(asked),
        temperature=0.0,
        top_p=1.0,
        max_tokens=slice.rollouts.max_tokens,
        seed=0,
        response=response,
        finish_reason="stop",
        num_tokens=0,
        verdict=verdict,
    )

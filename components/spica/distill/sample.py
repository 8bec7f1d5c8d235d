"""Asks every question as often as wanted, judges each response and journals it as it comes."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import uvloop

from spica.answers import has_thought, join_response, judge
from spica.artifacts.journal import Journal
from spica.artifacts.types import Rollout, RolloutVerdict
from spica.chat import (
    CANCELLED,
    ChatRequest,
    ChatResult,
    RefusedError,
    ask_all,
    build_messages,
    prompt_digest,
)
from spica.chat.telling import telling
from spica.distill.cancel import Race
from spica.distill.draws import Draw, request_seed
from spica.distill.order import longest_first
from spica.distill.progress import Progress
from spica.distill.refusals import Refusals
from spica.distill.teacher import OpenTeacher
from spica.recipe.slices import DistillSlice


class _Asked(NamedTuple):
    draw: Draw
    digest: str


def sample(
    slice: DistillSlice,
    draws: Sequence[Draw],
    images_root: Path,
    teacher: OpenTeacher,
    journal: Journal,
    finished: Sequence[Rollout] = (),
) -> list[Rollout]:
    """Has every rollout drawn; a progress line comes every few seconds.

    A question that the teacher refuses gives a rollout with the verdict `refused`; with `cancel_longer` one
    that cannot be kept any more is ended and gives `cancelled`.

    Args:
        slice: Sampling, prompt, patience.
        draws: What is missing, siblings together.
        images_root: Folder to which the questions' picture paths are relative.
        teacher: Who is asked.
        journal: Receives each rollout as it comes.
        finished: What an earlier run has drawn.

    Raises:
        EndpointError: The teacher refuses all or too much, or is gone; what came before is in the journal.
        DataError: A picture is missing.
    """
    asked: dict[str, _Asked] = {}
    rollouts: list[Rollout] = []
    progress = Progress(len(draws))
    num_rollouts = len(finished) + len(draws)
    refusals = Refusals(num_rollouts, slice.rollouts.num_rollouts, answered=bool(finished))
    race = Race(finished) if slice.rollouts.cancel_longer else None

    def keep(request: ChatRequest, result: ChatResult | RefusedError) -> None:
        draw, digest = asked.pop(request.id)
        rollout = _rollout(slice, draw, digest, teacher.name, request.seed, result)
        journal.append(rollout)
        rollouts.append(rollout)
        if race is not None:
            race.finish(rollout)
        progress.count(rollout.num_tokens, rollout.verdict == "correct")

    def on_result(request: ChatRequest, result: ChatResult) -> None:
        keep(request, result)
        refusals.answered = True

    async def ask() -> None:
        async with telling(progress.line):
            await ask_all(
                teacher.url,
                _requests(slice, longest_first(draws, finished), images_root, teacher, race, asked),
                concurrency=slice.requests.concurrency,
                request_timeout_s=slice.requests.request_timeout_s,
                max_attempts=slice.requests.max_attempts,
                api_key=teacher.api_key,
                on_result=on_result,
                on_refused=refusals.add,
            )

    uvloop.run(ask())
    for request, error in refusals.accepted():
        keep(request, error)
    return rollouts


def _requests(
    slice: DistillSlice,
    draws: Sequence[Draw],
    images_root: Path,
    teacher: OpenTeacher,
    race: Race | None,
    asked: dict[str, _Asked],
) -> Iterator[ChatRequest]:
    """Builds each question's message once, when its first rollout is due; `asked` holds those in flight."""
    for _, group in groupby(draws, key=lambda draw: draw.row.id):
        same = list(group)
        messages = build_messages(slice.prompt, same[0].row, images_root)
        digest = prompt_digest(messages)
        for draw in same:
            asked[draw.name] = _Asked(draw, digest)
            yield ChatRequest(
                id=draw.name,
                messages=messages,
                model=teacher.model,
                temperature=slice.rollouts.temperature,
                top_p=slice.rollouts.top_p,
                max_tokens=slice.rollouts.max_tokens,
                seed=request_seed(slice.seed, draw.row.id, draw.index),
                skip_special_tokens=teacher.skip_special_tokens,
                is_hopeless=None if race is None else partial(race.is_lost, draw.row.id, draw.index),
            )


def _rollout(
    slice: DistillSlice,
    draw: Draw,
    digest: str,
    teacher: str,
    seed: int,
    result: ChatResult | RefusedError,
) -> Rollout:
    if isinstance(result, RefusedError):
        response, finish_reason, num_tokens = "", result.reason, 0
        verdict: RolloutVerdict = "refused"
    elif result.finish_reason == CANCELLED:
        response, finish_reason, num_tokens, verdict = "", CANCELLED, result.num_tokens, "cancelled"
    else:
        response = join_response(result.reasoning, result.text) if result.reasoning else result.text.strip()
        finish_reason, num_tokens = result.finish_reason, result.num_tokens
        verdict = judge(response, finish_reason, draw.row.gold)
        if verdict == "correct" and not has_thought(response):
            verdict = "malformed"
    return Rollout(
        id=draw.row.id,
        index=draw.index,
        teacher=teacher,
        prompt_digest=digest,
        temperature=slice.rollouts.temperature,
        top_p=slice.rollouts.top_p,
        max_tokens=slice.rollouts.max_tokens,
        seed=seed,
        response=response,
        finish_reason=finish_reason,
        num_tokens=num_tokens,
        verdict=verdict,
    )

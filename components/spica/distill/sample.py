"""Asks every question as often as wanted, judges each response and journals it as it comes."""

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from spica.answers import has_thought, join_response, judge
from spica.artifacts.journal import Journal
from spica.artifacts.types import PromptRow, Rollout, RolloutVerdict
from spica.chat import ChatRequest, ChatResult, RefusedError, ask_all, build_messages, prompt_digest
from spica.chat.telling import telling
from spica.distill.progress import Progress
from spica.distill.refusals import Refusals
from spica.distill.teacher import OpenTeacher
from spica.recipe.slices import DistillSlice


@dataclass(frozen=True)
class Draw:
    """One rollout to be drawn."""

    row: PromptRow
    index: int

    @property
    def name(self) -> str:
        """Names the request in errors."""
        return f"{self.row.id}#{self.index}"


class _Asked(NamedTuple):
    draw: Draw
    digest: str


def plan(slice: DistillSlice, rows: Sequence[PromptRow]) -> list[Draw]:
    """Every rollout in canonical order: questions as given, then rollout index."""
    return [Draw(row, index) for row in rows for index in range(slice.rollouts.num_rollouts)]


def request_seed(seed: int, row_id: str, index: int) -> int:
    """The sampling seed of one rollout, 31 bits, the same whatever is asked beside it."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{row_id}/{index}".encode()).digest()[:4]) >> 1


def sample(
    slice: DistillSlice,
    draws: Sequence[Draw],
    images_root: Path,
    teacher: OpenTeacher,
    journal: Journal,
    num_done: int = 0,
) -> list[Rollout]:
    """Has every rollout drawn; a progress line comes every few seconds.

    A question that the teacher refuses gives a rollout with the verdict `refused`.

    Args:
        slice: Sampling, prompt, patience.
        draws: What is missing.
        images_root: Folder to which the questions' picture paths are relative.
        teacher: Who is asked.
        journal: Receives each rollout as it comes.
        num_done: Rollouts that an earlier run has drawn.

    Raises:
        EndpointError: The teacher refuses all or too much, or is gone; what came before is in the journal.
        DataError: A picture is missing.
    """
    asked: dict[str, _Asked] = {}
    rollouts: list[Rollout] = []
    progress = Progress(len(draws))
    refusals = Refusals(num_done + len(draws), slice.rollouts.num_rollouts, answered=num_done > 0)

    def keep(request: ChatRequest, result: ChatResult | RefusedError) -> None:
        draw, digest = asked.pop(request.id)
        rollout = _rollout(slice, draw, digest, teacher.name, request.seed, result)
        journal.append(rollout)
        rollouts.append(rollout)
        progress.count(rollout.num_tokens, rollout.verdict == "correct")

    def on_result(request: ChatRequest, result: ChatResult) -> None:
        keep(request, result)
        refusals.answered = True

    async def ask() -> None:
        async with telling(progress.line):
            await ask_all(
                teacher.url,
                _requests(slice, draws, images_root, teacher, asked),
                concurrency=slice.requests.concurrency,
                request_timeout_s=slice.requests.request_timeout_s,
                max_attempts=slice.requests.max_attempts,
                api_key=teacher.api_key,
                on_result=on_result,
                on_refused=refusals.add,
            )

    asyncio.run(ask())
    for request, error in refusals.accepted():
        keep(request, error)
    return rollouts


def _requests(
    slice: DistillSlice,
    draws: Sequence[Draw],
    images_root: Path,
    teacher: OpenTeacher,
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

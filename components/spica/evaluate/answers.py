"""Asks a served checkpoint what is not in the journal yet, and joins answers with questions by id."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from spica.artifacts.journal import Journal
from spica.artifacts.manifest import Artifact
from spica.artifacts.types import Row
from spica.chat import ChatRequest, ChatResult, ask_all, build_messages
from spica.chat.telling import telling
from spica.errors import EndpointError, Fault, IntegrityError
from spica.evaluate.items import Key, Question
from spica.evaluate.progress import Progress
from spica.launch.contract import Endpoint, Launcher, ModelServer
from spica.recipe.slices import EvaluateSlice

RUNS = ("spica.launch.model_server", "spica.launch.vllm_server")
"""What decides how a served model answers: a part of this stage's code digest."""


class Answer(Row):
    """One response as it came, not yet judged."""

    id: str
    repetition_penalty: float
    response: str
    finish_reason: str
    num_tokens: int

    @property
    def key(self) -> Key:
        return Key(self.id, self.repetition_penalty)


def ask_missing(
    slice: EvaluateSlice,
    questions: Sequence[Question],
    done: Sequence[Answer],
    checkpoint: Artifact,
    scratch: Path,
    launcher: Launcher,
    journal: Journal,
) -> list[Answer]:
    """The answers that `done` lacks, each journalled as it comes; no server is started when there is none.

    Raises:
        EndpointError: The server died (with its last log lines) or refused.
        DataError: A picture is missing.
    """
    answered = {answer.key for answer in done}
    missing = [question for question in questions if question.key not in answered]
    if not missing:
        return []
    print(f"{len(questions)} questions, {len(questions) - len(missing)} answered before", flush=True)
    with launcher.serve(_server(slice, checkpoint, scratch / "server.log")) as endpoint:
        try:
            return asyncio.run(_ask(slice, missing, endpoint, journal))
        except EndpointError:
            endpoint.check()
            raise


def _server(slice: EvaluateSlice, checkpoint: Artifact, logs: Path) -> ModelServer:
    return ModelServer(
        name=slice.arm,
        checkpoint=checkpoint,
        logs=logs,
        scale=slice.server,
    )


async def _ask(
    slice: EvaluateSlice, missing: Sequence[Question], endpoint: Endpoint, journal: Journal
) -> list[Answer]:
    answers: list[Answer] = []
    progress = Progress(len(missing))

    def on_result(request: ChatRequest, result: ChatResult) -> None:
        penalty = request.repetition_penalty
        answer = Answer(
            id=request.id,
            repetition_penalty=1.0 if penalty is None else penalty,
            response=result.text,
            finish_reason=result.finish_reason,
            num_tokens=result.num_tokens,
        )
        journal.append(answer)
        answers.append(answer)
        progress.count(result.num_tokens)

    async with telling(progress.line):
        await ask_all(
            endpoint.url,
            _requests(slice, missing, endpoint.model),
            concurrency=slice.requests.concurrency,
            request_timeout_s=slice.requests.request_timeout_s,
            max_attempts=slice.requests.max_attempts,
            api_key=None,
            on_result=on_result,
        )
    return answers


def _requests(slice: EvaluateSlice, missing: Sequence[Question], model: str) -> Iterator[ChatRequest]:
    for item, penalty in missing:
        yield ChatRequest(
            id=item.row.id,
            messages=build_messages(slice.prompt, item.row, item.images_root),
            model=model,
            temperature=slice.evaluate.temperature,
            top_p=slice.evaluate.top_p,
            max_tokens=slice.evaluate.max_tokens,
            seed=slice.seed,
            repetition_penalty=penalty,
        )


def join(questions: Sequence[Question], answers: Sequence[Answer]) -> Mapping[Key, Answer]:
    """Answers by what they belong to.

    Raises:
        IntegrityError: A question has no answer or two, or an answer no question.
    """
    by_key = {answer.key: answer for answer in answers}
    asked = {question.key for question in questions}
    missing, strange = sorted(asked - by_key.keys()), sorted(by_key.keys() - asked)
    if missing or strange or len(by_key) < len(answers):
        found = [f"no answer to {key.id!r}" for key in missing[:1]]
        found += [f"an answer to {key.id!r}, which was not asked" for key in strange[:1]]
        found += [f"{len(answers) - len(by_key)} doubled answers"] if len(by_key) < len(answers) else []
        raise IntegrityError(
            Fault(
                where="answers of the evaluation",
                found=", ".join(found),
                allowed="one answer per question and repetition penalty",
                next="run the stage again; if this stays, remove its work folder",
            )
        )
    return by_key

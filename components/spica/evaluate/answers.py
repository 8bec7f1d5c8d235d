"""Asks a served checkpoint what is not in the journal yet, and joins answers with questions by id."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import uvloop

from spica.artifacts.journal import Journal
from spica.artifacts.manifest import Artifact
from spica.artifacts.types import Row
from spica.chat import ChatRequest, ChatResult, ask_all
from spica.chat.telling import telling
from spica.errors import EndpointError, Fault, IntegrityError
from spica.evaluate.items import Key, Question
from spica.evaluate.progress import Progress
from spica.evaluate.prompts import messages, style_of
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
            return uvloop.run(_ask(slice, missing, endpoint, journal))
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
    style = style_of(slice)
    for item, penalty in missing:
        yield ChatRequest(
            id=item.row.id,
            messages=messages(slice.prompt, style, item),
            model=model,
            temperature=slice.evaluate.temperature,
            top_p=slice.evaluate.top_p,
            max_tokens=slice.evaluate.max_tokens,
            seed=slice.seed,
            repetition_penalty=penalty,
        )


def join(questions: Sequence[Question], answers: Sequence[Answer]) -> Mapping[Key, Answer]:
    """Answers by what they belong to, never by position (protocol A4: a dropped row shifts all that follow).

    Raises:
        IntegrityError: One fault each for questions without answer, answers without question, doubled
        answers.
    """
    by_key = {answer.key: answer for answer in answers}
    asked = {question.key for question in questions}
    counts = Counter(answer.key for answer in answers)
    faults = [
        _fault("no answer to", sorted(asked - by_key.keys())),
        _fault("an answer to what was not asked:", sorted(by_key.keys() - asked)),
        _fault("two answers to", sorted(key for key, count in counts.items() if count > 1)),
    ]
    if found := [fault for fault in faults if fault]:
        raise IntegrityError(*found)
    return by_key


def _fault(what: str, keys: Sequence[Key]) -> Fault | None:
    if not keys:
        return None
    more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
    return Fault(
        where="answers of the evaluation",
        found=f"{what} {keys[0].id!r} (repetition penalty {keys[0].repetition_penalty}){more}",
        allowed="one answer per question and repetition penalty",
        next="run the stage again; if this stays, remove its work folder",
    )

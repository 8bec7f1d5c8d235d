"""Who is asked: an endpoint somewhere, the miniature's teacher, or a checkpoint that the launcher serves."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from spica.artifacts.manifest import Artifact
from spica.chat.key import read_key
from spica.errors import EndpointError, Fault, PrerequisiteError
from spica.launch.contract import CommandServer, Launcher, ModelServer
from spica.recipe.schema import Teacher
from spica.recipe.slices import DistillSlice

RUNS = ("spica.launch.model_server", "spica.launch.vllm_server")
"""What decides how a served model answers: a part of this stage's code digest."""

_MINIATURE = "miniature://"
_MADE_BY = {"teacher": "sft-d_t", "base": "student"}


@dataclass(frozen=True)
class OpenTeacher:
    """A teacher that can be asked now."""

    name: str
    """What rows call it: a model name, or task and digest of a checkpoint."""
    url: str
    model: str
    """Name sent in each request."""
    api_key: str | None = field(default=None, repr=False)
    skip_special_tokens: bool | None = None
    """None for foreign endpoints: not all of them know the parameter."""


@contextmanager
def open_teacher(
    slice: DistillSlice, checkpoint: Artifact | None, scratch: Path, launcher: Launcher, name: str = "teacher"
) -> Iterator[OpenTeacher]:
    """Starts the teacher where Spica has to, and stops it afterwards.

    `name` is that of the server and of its log. Where a server of Spica's dies while it is asked, the error
    carries its last words.

    Raises:
        EndpointError: The server died or was not ready in time.
        PrerequisiteError: The key's variable is not set, or the server lacks something.
    """
    logs = scratch / f"{name}.log"
    if slice.teacher is None:
        given = _given(checkpoint, name)
        server = ModelServer(name=name, checkpoint=given, logs=logs, scale=slice.server)
        with _serving(server, launcher) as (url, model):
            yield OpenTeacher(_checkpoint_name(given), url, model, skip_special_tokens=False)
        return
    model, api_key = slice.teacher.model, read_key(slice.teacher, " and run again")
    if not slice.teacher.url.startswith(_MINIATURE):
        yield OpenTeacher(model, slice.teacher.url, model, api_key)
        return
    with _serving(_miniature_server(slice.teacher, logs), launcher) as (url, _):
        yield OpenTeacher(model, url, model, api_key)


@contextmanager
def _serving(server: ModelServer | CommandServer, launcher: Launcher) -> Iterator[tuple[str, str]]:
    """URL and model name of a server while it runs."""
    print(f"starting the {server.name}", flush=True)
    with launcher.serve(server) as endpoint:
        try:
            yield endpoint.url, endpoint.model
        except EndpointError:
            endpoint.check()
            raise


def _miniature_server(teacher: Teacher, logs: Path) -> CommandServer:
    """miniature://teacher?wrong=0.15&no_box=0.01 becomes --wrong=0.15 --no-box=0.01 of our teacher."""
    parts = urlsplit(teacher.url)
    if parts.netloc != "teacher" or parts.path:
        raise EndpointError(
            Fault(
                where="url of a teacher",
                found=teacher.url,
                allowed="miniature://teacher?wrong=0.15&seed=1",
                next="python -m spica.miniature.teacher --help lists what may follow the question mark",
            )
        )
    options = [f"--{name.replace('_', '-')}={value}" for name, value in parse_qsl(parts.query)]
    key = [f"--api-key-env={teacher.api_key_env}"] if teacher.api_key_env else []
    return CommandServer(
        name="teacher",
        module="spica.miniature.teacher",
        args=(*options, f"--model={teacher.model}", *key),
        logs=logs,
    )


def _checkpoint_name(checkpoint: Artifact) -> str:
    return f"{checkpoint.manifest.task}@{checkpoint.manifest.digest[:12]}"


def _given(checkpoint: Artifact | None, name: str) -> Artifact:
    if checkpoint is None:
        raise PrerequisiteError(
            Fault(
                where="distill",
                found=f"neither an endpoint in the slice nor an input named {name}",
                allowed="one of the two",
                next=f"pass the checkpoint of {_MADE_BY[name]} as input `{name}`",
            )
        )
    return checkpoint

"""A checkpoint behind vLLM's OpenAI API."""

import time
from collections.abc import Callable
from pathlib import Path

from spica.artifacts.manifest import Artifact
from spica.launch.contract import Endpoint, Launcher, ModelServer
from spica.recipe.slices import ServeSlice
from spica.serve.ask import MODEL

RUNS = ("spica.launch.model_server", "spica.launch.vllm_server")
"""What decides how a served model answers: a part of this stage's code digest."""

_CHECK_EVERY_S = 1.0


def model_server(
    slice: ServeSlice, checkpoint: Artifact, logs: Path, name: str = MODEL, port: int | None = None
) -> ModelServer:
    """How the recipe serves a checkpoint."""
    return ModelServer(
        name=name,
        checkpoint=checkpoint,
        logs=logs,
        scale=slice.server,
        port=port,
    )


def serve_forever(
    slice: ServeSlice,
    checkpoint: Artifact,
    launcher: Launcher,
    logs: Path,
    port: int | None,
    on_ready: Callable[[Endpoint], None],
) -> None:
    """Serve a checkpoint until the caller is interrupted; the server ends with it.

    Args:
        slice: Limits and sizes.
        checkpoint: The model.
        launcher: Starts the model server.
        logs: File that receives the server's output.
        port: Port to listen on, any free one when None.
        on_ready: Called once when the model answers.

    Raises:
        PrerequisiteError: The port is in use.
        EndpointError: The server died.
        KeyboardInterrupt: On Ctrl-C, after the server has ended.
    """
    with launcher.serve(model_server(slice, checkpoint, logs, port=port)) as endpoint:
        on_ready(endpoint)
        while True:
            endpoint.check()
            time.sleep(_CHECK_EVERY_S)

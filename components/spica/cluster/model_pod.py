"""What a pod of a model server runs: `python -m spica.cluster.model_pod --name NAME --scale JSON`.

KServe's storage initializer has put the checkpoint into /mnt/models. Every byte is compared with what
$SPICA_FILES says (the manifest's files, as JSON); then this process becomes vLLM. A checkpoint that differs
is refused with exit code 1 and never served; what differs stands in the pod's termination message.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from spica.artifacts.folders import difference, hash_files
from spica.artifacts.types import FileEntry
from spica.errors import Fault, IntegrityError, PrerequisiteError, SpicaError
from spica.launch.model_server import serve_command, serve_environment
from spica.recipe.slices import ServerScale

MODELS = Path("/mnt/models")
TERMINATION_LOG = Path("/dev/termination-log")
FILES = "SPICA_FILES"
PORT = 8080
MAX_MESSAGE_BYTES = 4096
"""The kubelet takes no more."""
_HOST = "0.0.0.0"  # of the pod's own network
_REMEDY = "start the server again: the weights are fetched anew; if it stays so, the store's bytes differ"
_MAX_FAULTS = 5


def verify(folder: Path, files: Sequence[FileEntry]) -> None:
    """Compare every byte below `folder` with `files`.

    KServe's storage initializer leaves empty files out; that loses nothing.

    Raises:
        IntegrityError: a file is missing, too many, truncated or altered.
    """
    found = {entry.path: entry for entry in hash_files(folder)}
    expected = {entry.path: entry for entry in files if entry.size or entry.path in found}
    faults = []
    for path in sorted(found.keys() | expected.keys()):
        where = f"{folder}/{path}"
        if path not in found:
            faults.append(Fault(where, "missing", "a file the manifest names", _REMEDY))
        elif path not in expected:
            faults.append(Fault(where, "an extra file", "only files the manifest names", _REMEDY))
        elif found[path] != expected[path]:
            faults.append(difference(where, expected[path], found[path], _REMEDY))
    if faults:
        raise IntegrityError(*faults[:_MAX_FAULTS])


def expected_files() -> list[FileEntry]:
    """What the manifest names.

    Raises:
        PrerequisiteError: the variable is missing or cannot be read.
    """
    try:
        return TypeAdapter(list[FileEntry]).validate_json(os.environ.get(FILES, ""))
    except ValidationError as error:
        reason = error.errors(include_url=False, include_input=False)[0]["msg"]
        advice = "serve a checkpoint with Spica, which sets it"
        raise PrerequisiteError(
            Fault(f"environment, {FILES}", reason, "JSON list of path, size, sha256", advice)
        ) from error


def main(arguments: Sequence[str], folder: Path = MODELS, message: Path = TERMINATION_LOG) -> int:
    """Verify `folder`, then replace this process by vLLM; a refusal is returned as exit code."""
    parser = argparse.ArgumentParser(prog="python -m spica.cluster.model_pod")
    parser.add_argument("--name", required=True, help="name under which the model is served")
    parser.add_argument("--scale", required=True, type=ServerScale.model_validate_json, help="size, as JSON")
    options = parser.parse_args(arguments)
    try:
        files = expected_files()
        started = time.monotonic()
        verify(folder, files)
    except SpicaError as error:
        text = f"{type(error).__name__}: {error}"
        print(text, file=sys.stderr, flush=True)
        message.write_bytes(text.encode()[:MAX_MESSAGE_BYTES])
        return error.exit_code
    size = sum(entry.size for entry in files)
    print(f"{size / 1e9:.3f} GB verified in {time.monotonic() - started:.1f} s", flush=True)
    command = serve_command(options.name, folder, options.scale, _HOST, PORT)
    os.execvpe(command[0], command, {**os.environ, **serve_environment(options.scale)})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from spica.artifacts.folders import hash_files
from spica.artifacts.manifest import Execution, Manifest

KEY = "ab" * 32


def manifest_of(folder: Path, key: str = KEY, task: str = "sft-d_t+d_sd", **metrics: float) -> Manifest:
    """The manifest of a folder as a finished stage would write it."""
    manifest = Manifest(
        kind="checkpoint",
        task=task,
        key=key,
        slice={"learning_rate": 1e-05},
        inputs={"student": "5" * 64},
        code="c" * 64,
        seed=7,
        files=hash_files(folder),
        metrics=metrics,
        digest="",
        execution=Execution(
            started="2026-11-21T08:00:00", wall_s=1.0, cpu_s=1.0, tokens=0, host="h", version="0"
        ),
    )
    return manifest.model_copy(update={"digest": manifest.payload_digest()})


def write_files(folder: Path, **contents: str) -> Path:
    """A folder with weights/model.bin, card.md, ...: a double underscore is a slash, a single one a dot."""
    for name, content in contents.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


class Race(NamedTuple):
    """What became of each round in either process: the first 8 digits of a digest, or `conflict`."""

    different: list[tuple[str, str]]
    equal: list[tuple[str, str]]


def race(store: str, scratch: Path, num_rounds: int) -> Race:
    """Let two processes publish under the same keys at once, first different bytes, then equal ones."""
    program = str(Path(__file__).with_name("racing_publisher.py"))
    processes = [
        subprocess.Popen(
            [sys.executable, program, store, str(scratch / name), name, str(num_rounds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("left", "right")
    ]
    for process in processes:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    left, right = (process.communicate()[0].split() for process in processes)
    outcomes = list(zip(left, right, strict=True))
    assert len(outcomes) == 2 * num_rounds
    return Race(outcomes[:num_rounds], outcomes[num_rounds:])


def bucket_keys(client: Any) -> list[str]:
    return [item["Key"] for item in client.list_objects_v2(Bucket="spica").get("Contents", ())]


def as_json(manifest: Manifest, **changes: Any) -> bytes:
    return json.dumps({**json.loads(manifest.model_dump_json()), **changes}).encode()

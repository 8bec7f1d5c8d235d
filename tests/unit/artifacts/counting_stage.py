"""A stage that counts how often it ran, for tests of the memo in this process and in one that is killed."""

import os
import signal
import time
from collections.abc import Mapping

from spica.artifacts.manifest import Artifact, Manifest
from spica.artifacts.memo import execute
from spica.artifacts.store import Store
from spica.artifacts.workspace import Workspace
from spica.launch.contract import Launcher
from spica.recipe.schema import Section, Source


class CountingSlice(Section):
    seed: int = 0
    sources: tuple[Source, ...] = ()


class NoLauncher:
    pass


def run(slice: CountingSlice, inputs: Mapping[str, Artifact], out: Workspace, launcher: Launcher) -> Manifest:
    """Publish one number; leave it in scratch too, and die on request."""
    for name, artifact in inputs.items():
        (out.path / f"{name}.txt").write_text((artifact.path / "seed.txt").read_text())
    with (out.scratch / "attempts.txt").open("a") as file:
        file.write("x")
    if os.environ.get("DIE"):
        while os.environ["DIE"] == "copied" and not kept(out):
            time.sleep(0.05)
        (out.path / "half.bin").write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)
    attempts = (out.scratch / "attempts.txt").read_text()
    (out.path / "seed.txt").write_text(str(slice.seed))
    return out.publish("prompts", {"num_attempts": len(attempts)}, tokens=5)


def kept(out: Workspace) -> bool:
    """Whether the store has the scratch."""
    assert out.work is not None
    shelf = Store.parse(out.work.store).shelf(out.work.task, out.work.key)
    return shelf is not None and "attempts.txt" in shelf.names()


def launcher() -> Launcher:
    """No launcher: this stage starts nothing."""
    return NoLauncher()  # type: ignore[return-value]  # never called


def main() -> None:
    """Execute the stage in the store that the environment names."""
    execute("text", run, CountingSlice(), {}, Store.parse(os.environ["STORE"]), launcher())

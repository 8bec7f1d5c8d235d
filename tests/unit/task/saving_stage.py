"""A stage that works until it is stopped and then saves, for tests of what a signal does to a task."""

import os
import time
from collections.abc import Mapping
from pathlib import Path

from spica.artifacts.manifest import Artifact, Manifest
from spica.artifacts.workspace import Workspace
from spica.launch.contract import Launcher
from spica.recipe.schema import Section


class SavingSlice(Section):
    saving_s: float


def run(slice: SavingSlice, inputs: Mapping[str, Artifact], out: Workspace, launcher: Launcher) -> Manifest:
    """Publish one file at once when there is nothing to save, else wait for a signal."""
    if not slice.saving_s:
        (out.path / "done.txt").write_text("done")
        return out.publish("prompts", {"num_rows": 1})
    try:
        print("at work", flush=True)
        while True:
            print("on and on", flush=True)
            time.sleep(0.001)
    finally:
        time.sleep(slice.saving_s)
        Path(os.environ["SAVED"]).touch()

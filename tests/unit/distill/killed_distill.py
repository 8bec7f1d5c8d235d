"""Runs distill in a process that a test kills: URL PROMPTS FOLDER [ROLLOUTS as JSON]."""

import json
import sys
from pathlib import Path

from distill_examples import make_slice, manifest, workspace

from spica.artifacts.manifest import Artifact
from spica.distill.run import run
from spica.launch.local import LocalLauncher

if __name__ == "__main__":
    url, prompts, folder, *changes = sys.argv[1:]
    rollouts = json.loads(changes[0]) if changes else {}
    inputs = {"prompts": Artifact(manifest(), "", lambda _: Path(prompts))}
    run(
        make_slice(url, rollouts=rollouts),
        inputs,
        workspace(Path(folder)),
        LocalLauncher(Path(folder) / "state"),
    )

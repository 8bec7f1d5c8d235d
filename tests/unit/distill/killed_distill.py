"""Runs distill in a process that a test kills: URL PROMPTS FOLDER."""

import sys
from pathlib import Path

from distill_examples import make_slice, manifest, workspace

from spica.artifacts.manifest import Artifact
from spica.distill.run import run
from spica.launch.local import LocalLauncher

if __name__ == "__main__":
    url, prompts, folder = sys.argv[1:]
    inputs = {"prompts": Artifact(manifest(), "", lambda _: Path(prompts))}
    run(make_slice(url), inputs, workspace(Path(folder)), LocalLauncher(Path(folder) / "state"))

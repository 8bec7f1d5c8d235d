"""The README states only what is run: by CI, by the pipeline test, or here."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BY_PIPELINE_TEST = {"run", "report", "serve", "ask"}
"""Subcommands that tests/pipeline/test_miniature.py runs on a small recipe."""


def readme_commands() -> list[str]:
    blocks = re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    lines = [line.partition("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


def subcommand(command: str) -> str:
    return command.removeprefix(".venv/bin/spica ").split()[0]


SCRIPT = (ROOT / ".ci" / "run").read_text()
CI = re.findall(r"^run (.+)$", SCRIPT, re.MULTILINE)
HERE = [c for c in readme_commands() if c not in CI and subcommand(c) not in BY_PIPELINE_TEST | {"make"}]


def test_every_make_command_of_the_readme_is_run_by_ci_or_names_a_tested_command() -> None:
    made = {c for c in readme_commands() if c.startswith("make ")} - set(CI)
    assert made == {
        "make help",
        "make serve",
        "make tables",
        "make study",
        "make cluster",
        "make cluster-down",
    }


def test_a_command_of_ci_that_hangs_is_ended_before_the_job_is_at_90_minutes() -> None:
    [minutes] = re.findall(r"^minutes=(\d+)$", SCRIPT, re.MULTILINE)
    assert int(minutes) < 90


def test_make_help_lists_every_target_of_the_readme() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    named = {c.split()[1] for c in readme_commands() if c.startswith("make ")} - {"help"}
    assert {name for name in named if f"make {name} " in shown} == named


@pytest.mark.parametrize("command", HERE)
def test_a_spica_command_of_the_readme_succeeds(command: str, tmp_path: Path) -> None:
    arguments = command.removeprefix(".venv/bin/spica ").split()
    done = subprocess.run(
        [sys.executable, "-m", "spica_pipelines.cli", *arguments],
        cwd=tmp_path,
        env={**os.environ, "SPICA_STATE": str(tmp_path / "state")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_readme_is_one_that_is_read() -> None:
    assert len(README.splitlines()) <= 200
    for path in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (ROOT / path).is_file(), path

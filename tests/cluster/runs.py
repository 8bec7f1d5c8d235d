"""Whole runs through the command line, as a person starts, watches and ends them."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from bed.layout import KFP_IP
from bed.objects import kubectl
from spica.recipe.load import find_recipe
from spica_pipelines.remote import RemoteRun, read_run
from spica_pipelines.server import Server

ENDPOINT = f"http://{KFP_IP}:8888"
TRAINING, SERVING = "pytorchjobs", "inferenceservices"
SMALL = {"text": 160, "visual": 12, "dev": 16, "benchmarks": 14}
"""Rows of each source in the small recipe."""
Object = dict[str, Any]


def shipped_recipe(folder: Path, bucket: str) -> Path:
    """The miniature as it is shipped, its store in a bucket of the tests."""
    text = find_recipe("miniature").read_text()
    path = folder / "miniature.yaml"
    path.write_text(text.replace("s3://spica/miniature", f"s3://{bucket}/miniature"))
    return path


def small_recipe(
    folder: Path, bucket: str, teacher_key: str | None = None, asked_times: int = 1, **secrets: str
) -> Path:
    """The miniature with fewer rows and epochs: every step is done, none takes long.

    Args:
        folder: where it is written.
        bucket: of its store.
        teacher_key: the variable that holds the teacher's key.
        asked_times: so many times the questions for M0 and of the benchmarks, for servers that stay longer.
        secrets: names, as in `profiles.*.kubernetes.secrets`.
    """
    recipe = yaml.safe_load(find_recipe("miniature").read_text())
    recipe["name"] = "small"
    recipe["models"]["teachers"]["ours"]["api_key_env"] = teacher_key
    for section, num in SMALL.items():
        times = asked_times if section in ("visual", "benchmarks") else 1
        for source in recipe["sources"][section]:
            source["uri"] = source["uri"].partition("&num=")[0] + f"&num={num * times}"
            source["num_rows"] = num * times if section == "benchmarks" else None
    recipe["dataset"] |= {"num_val": 4, "max_bad_fraction": 0.5}
    recipe["sft"] |= {"epochs": 3, "batch_size": 4}
    recipe["distill"]["visual"]["num_rollouts"] = 2
    profile = recipe["profiles"]["cluster2"]
    profile["store"] = f"s3://{bucket}/small"
    profile["kubernetes"]["secrets"] |= secrets
    recipe["profiles"] = {"cluster2": profile}
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


def spica(*arguments: str | Path, code: int = 0, **environment: str) -> str:
    """What a command of `spica` printed."""
    done = subprocess.run(
        [sys.executable, "-m", "spica_pipelines.cli", *arguments],
        env=os.environ | {"KFP_ENDPOINT": ENDPOINT} | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def submit(recipe: Path, team: str) -> str:
    """The run's id."""
    said = spica("submit", recipe, "--profile", "cluster2", "--namespace", team, "--experiment", "tests")
    return said.partition(": ")[0].removeprefix("run ")


def wait_for_end(run: str, *, limit_s: float) -> RemoteRun:
    """The run as it ended, well or not."""
    server, limit = Server(ENDPOINT), time.monotonic() + limit_s
    while not (found := read_run(server, run)).has_ended:
        if time.monotonic() > limit:
            pytest.fail(f"{run} goes on after {limit_s:.0f} s: {states(found)}")
        time.sleep(10)  # each look reads the logs of all tasks
    return found


def states(run: RemoteRun) -> dict[str, str]:
    """Task -> how far it is, and why it failed."""
    return {task.name: f"{task.state} {task.error}".strip() for task in run.tasks}


def made_for(team: str, run: str, kind: str) -> list[Object]:
    """What a run has made and not yet deleted."""
    return list(
        json.loads(kubectl("get", kind, "-n", team, "-l", f"spica.dev/run={run}", "-o", "json"))["items"]
    )


def pods_of(team: str, component: str) -> list[Object]:
    """Pods of trainings or servers."""
    label = f"app.kubernetes.io/component={component}"
    return list(json.loads(kubectl("get", "pods", "-n", team, "-l", label, "-o", "json"))["items"])


def left_of(team: str, run: RemoteRun) -> list[str]:
    """What still runs of a run: its own pods, trainings, servers, and their pods."""
    steps = json.loads(
        kubectl("get", "pods", "-n", "kubeflow", "-l", f"pipeline/runid={run.id}", "-o", "json")
    )
    living = [
        f"step {pod['metadata']['name']}"
        for pod in steps["items"]
        if pod["status"].get("phase") not in ("Succeeded", "Failed")
    ]
    for kind in (TRAINING, SERVING):
        living += [
            f"{kind} {item['metadata']['name']}" for item in made_for(team, run.run, kind) if not ended(item)
        ]
    for component in ("training", "serving"):
        living += [
            f"pod {pod['metadata']['name']}"
            for pod in pods_of(team, component)
            if pod["status"].get("phase") not in ("Succeeded", "Failed")
        ]
    return living


def ended(item: Object) -> bool:
    """Whether a job ended by itself."""
    conditions = (item.get("status") or {}).get("conditions", ())
    return any(c["type"] in ("Succeeded", "Failed") and c["status"] == "True" for c in conditions)

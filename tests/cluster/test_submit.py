"""Runs on a real backend of Kubeflow Pipelines 2.0.5: every step is a pod of Spica's control image."""

import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest
import yaml

from bed.layout import KFP_IP
from bed.objects import kubectl
from spica.recipe.load import load_recipe, read_text, recipes_folder
from spica_pipelines.ending import cancel
from spica_pipelines.in_cluster import objects
from spica_pipelines.remote import RemoteRun, artifacts, read_run, task_log, task_of
from spica_pipelines.server import Server
from spica_pipelines.submit import Order, Submitted, submit

pytestmark = pytest.mark.cluster
ENDPOINT = f"http://{KFP_IP}:8888"
INSIDE = "http://ml-pipeline.kubeflow:8888"
ROOT = Path(__file__).parents[2]
TEXT = read_text(recipes_folder() / "miniature.yaml")
LIMIT_S = 600.0


@pytest.fixture(scope="module")
def bucket(team: str) -> str:
    """The store of this module's runs."""
    name = f"{team}-submit"
    boto3.client("s3").create_bucket(Bucket=name)
    return name


def order(bucket: str, text: str = TEXT) -> Order:
    resolved = load_recipe("miniature", "cluster2")
    text = text.replace("s3://spica/miniature", f"s3://{bucket}/miniature")
    return Order(resolved, text, "spica", "tests", priority=None, no_cache=False)


def until(server: Server, made: Submitted, reached: Callable[[RemoteRun], bool]) -> RemoteRun:
    """The run as soon as it is as wanted."""
    limit = time.monotonic() + LIMIT_S
    while time.monotonic() < limit:
        run = read_run(server, made.run)
        if reached(run):
            return run
        assert not run.has_ended, [(task.name, task.state, task.error) for task in run.tasks if task.error]
        time.sleep(2)
    raise AssertionError(f"not so within {LIMIT_S:.0f} s: {[(task.name, task.state) for task in run.tasks]}")


def pods(run: RemoteRun) -> list[str]:
    """Those of a run that have not ended."""
    found = json.loads(
        kubectl("get", "pods", "-n", "kubeflow", "-l", f"pipeline/runid={run.id}", "-o", "json")
    )
    phases = {item["metadata"]["name"]: item["status"].get("phase") for item in found["items"]}
    return [name for name, phase in phases.items() if phase not in ("Succeeded", "Failed")]


def test_a_run_is_submitted_read_and_cancelled(bucket: str) -> None:
    server = Server(ENDPOINT)
    made = submit(order(bucket), server)

    run = until(server, made, lambda run: task_of(run, "held-out").state == "succeeded")
    task = task_of(run, "held-out")
    assert task.record and task.record.uri.startswith(f"s3://{bucket}/miniature/held-out/")
    assert "held-out: done in" in task_log(server, run, task)
    assert len((artifacts(run, "held-out")["held-out"].path / "dev.jsonl").read_text().splitlines()) == 160

    start = time.monotonic()
    cancel(server, made.run)
    while left := pods(run):
        assert time.monotonic() - start < 30, left
        time.sleep(1)
    assert read_run(server, made.run).has_ended


@pytest.mark.full
def test_why_a_task_failed_is_told_in_four_parts_and_equal_packages_are_one_version(bucket: str) -> None:
    server = Server(ENDPOINT)
    first = submit(order(bucket), server)
    cancel(server, first.run)
    text = TEXT.replace("path: miniature://base", f"path: s3://{bucket}/nothing-here")
    made = submit(order(bucket, text), server)

    run = until(server, made, lambda run: run.has_ended)
    assert made.version == first.version
    assert run.verdict == "failed"
    assert task_of(run, "student").error.startswith(
        f"s3://{bucket}/nothing-here\n  found:   no objects\n  allowed: a prefix that holds files"
    )


@pytest.mark.full
def test_what_kubectl_is_given_submits_the_run_from_inside(bucket: str, team: str, tmp_path: Path) -> None:
    """As the guide does it: the Job runs in the team's namespace, where pods are restricted."""
    (tmp_path / "objects.yaml").write_text(objects(order(bucket)._replace(namespace=team), INSIDE))
    component = os.path.relpath(ROOT / "manifests" / "overlays" / "dev" / "submit", tmp_path.resolve())
    settings = {"resources": ["objects.yaml"], "components": [component]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(settings))
    kubectl("apply", "--server-side", "--validate=strict", "-k", tmp_path)
    submitters = ("-n", team, "-l", "app.kubernetes.io/component=submit")
    try:
        kubectl("wait", "job", *submitters, "--for=jsonpath={.status.conditions[0].type}", "--timeout=180s")
        printed = kubectl("logs", *submitters, "--tail=-1")
    finally:
        kubectl("delete", "jobs,configmaps", *submitters)
    found = re.search(r"^run (\S+): miniature under cluster2$", printed, re.MULTILINE)
    assert found, printed
    assert cancel(Server(ENDPOINT), found[1])

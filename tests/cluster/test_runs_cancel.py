"""`spica cancel` in each phase of a run on KFP: nothing of it is left after 30 s."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest

from bed.objects import apply, kubectl
from spica_pipelines.remote import ENDED, RemoteRun, read_run
from spica_pipelines.server import Server

from .figures import Measure
from .runs import (
    ENDPOINT,
    SERVING,
    TRAINING,
    Object,
    ended,
    left_of,
    made_for,
    pods_of,
    small_recipe,
    spica,
    states,
    submit,
)
from .training_world import quota_taker

pytestmark = [pytest.mark.cluster, pytest.mark.full]
LIMIT_S = 30.0
PHASE_LIMIT_S = 900.0


@pytest.fixture(scope="module")
def recipe(team: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All runs share a store: what one has made, the next finds, and so comes to the later phases sooner."""
    bucket = f"{team}-cancel"
    boto3.client("s3").create_bucket(Bucket=bucket)
    # A hundred questions are answered in a second, which nobody could meet with a command.
    return small_recipe(tmp_path_factory.mktemp("cancel"), bucket, asked_times=20)


@contextmanager
def taken_quota(team: str) -> Iterator[None]:
    name = f"taker-{uuid.uuid4().hex[:6]}"
    apply(quota_taker(name, team, run_for_s=3600))
    try:
        yield
    finally:
        kubectl("delete", "job", name, "-n", team)


def waits_for_quota(team: str, run: str) -> bool:
    return any(item["spec"]["runPolicy"].get("suspend") for item in made_for(team, run, TRAINING))


def trains(team: str, run: str) -> bool:
    running = [pod for pod in pods_of(team, "training") if pod["status"].get("phase") == "Running"]
    return len(running) == 2 and any(not ended(item) for item in made_for(team, run, TRAINING))


def starts_a_server(team: str, run: str) -> bool:
    return any(not is_ready(item) for item in made_for(team, run, SERVING))


def serves(team: str, run: str, model: str) -> bool:
    """The temporary endpoint over a task's checkpoint is being asked."""
    return any(
        is_ready(item) and item["metadata"]["labels"]["spica.dev/task"] == model
        for item in made_for(team, run, SERVING)
    )


def evaluates(team: str, run: str) -> bool:
    return serves(team, run, "student")


def rolls_out(team: str, run: str) -> bool:
    return serves(team, run, "sft-d_t")


def is_ready(item: Object) -> bool:
    conditions = (item.get("status") or {}).get("conditions", ())
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


@pytest.mark.parametrize("phase", [waits_for_quota, starts_a_server, evaluates, trains, rolls_out])
def test_a_cancelled_run_leaves_nothing(
    phase: Callable[[str, str], bool], team: str, recipe: Path, figure: Measure
) -> None:
    if phase is waits_for_quota:
        with taken_quota(team):
            left, took_s = cancelled_in(phase, team, recipe)
    else:
        left, took_s = cancelled_in(phase, team, recipe)
    measured = f"still there after {took_s:.0f} s: {', '.join(left)}" if left else f"{took_s:.0f} s"
    what = f"run cancelled while it {phase.__name__.replace('_', ' ')}"
    figure(what, f"job, pods, endpoint gone <= {LIMIT_S:.0f} s", measured)
    assert not left
    assert took_s <= LIMIT_S


def cancelled_in(phase: Callable[[str, str], bool], team: str, recipe: Path) -> tuple[list[str], float]:
    """What was left of the run, and seconds after the command until all was gone, or was given up."""
    run = submit(recipe, team)
    found = wait_for_phase(phase, team, run)
    started = time.monotonic()
    spica("cancel", run)
    while left := left_of(team, found):
        if time.monotonic() - started > 4 * LIMIT_S:
            break
        time.sleep(1)
    return left, time.monotonic() - started


def wait_for_phase(phase: Callable[[str, str], bool], team: str, run: str) -> RemoteRun:
    """The run as it was read before the phase: reading one takes longer than some phases last."""
    server, limit = Server(ENDPOINT), time.monotonic() + PHASE_LIMIT_S
    found = read_run(server, run)
    while not phase(team, run):
        state = json.loads(server.text(f"/apis/v2beta1/runs/{found.id}"))["state"]
        assert state.upper() not in ENDED, states(read_run(server, run))
        assert time.monotonic() < limit, states(read_run(server, run))
        time.sleep(0.2)
    return found

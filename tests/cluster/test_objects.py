"""Every object that Spica renders, on the real control plane: admitted strictly, then reconciled."""

import json
import time
from collections.abc import Iterator

import pytest
import yaml

from bed.objects import kubectl
from bed.processes import wait_until
from spica.recipe.load import find_recipe, read_text
from spica_pipelines.ending import cancel
from spica_pipelines.in_cluster import objects
from spica_pipelines.remote import read_run, task_of
from spica_pipelines.server import Server
from spica_pipelines.submit import Order, submit

from .figures import Measure
from .pool import Pool, name_of, pool, running_for
from .rendered import Object, Rendering, on_kubernetes
from .runs import ENDPOINT

pytestmark = pytest.mark.cluster
SIMULATED = [pair for pair in on_kubernetes() if pair[1] == "cluster64"]


@pytest.fixture(scope="module")
def gpus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    with pool(tmp_path_factory.mktemp("pool")) as found:
        yield found


def test_every_object_of_every_recipe_and_profile_is_admitted(gpus: Pool, figure: Measure) -> None:
    admitted = asked = 0
    for recipe, profile in on_kubernetes():
        rendering = Rendering.of(recipe, profile)
        text = objects(order(rendering, gpus.cluster.namespace, recipe), ENDPOINT)
        jobs = [rendering.job(task) for task in rendering.trainings]
        items = [*jobs, *rendering.servers(), *yaml.safe_load_all(text)]
        asked += len(items)
        admitted += len(admit(items, gpus.cluster.namespace))
    where = f"{len(on_kubernetes())} pairs of recipe and profile"
    figure("objects: admitted", "100 %, server-side, strict", f"{admitted} of {asked}, {where}")
    assert admitted == asked


def admit(items: list[Object], namespace: str) -> list[str]:
    """Server-side, strict, not kept; the names of those that were admitted."""
    options = ("--server-side", "--validate=strict", "--dry-run=server", "-o", "name")
    whole = {"apiVersion": "v1", "kind": "List", "items": items}
    return kubectl("apply", *options, "-n", namespace, "-f", "-", stdin=json.dumps(whole)).splitlines()


def test_every_training_is_reconciled_up_to_its_end(gpus: Pool, figure: Measure) -> None:
    """On simulated nodes; those of profile cluster2 are trained for real in test_training.py."""
    bodies = []
    for recipe, profile in SIMULATED:
        rendering = Rendering.of(recipe, profile)
        bodies += [rendering.job(task, running_for("1s")) for task in rendering.trainings]
    for body in bodies:
        gpus.cluster.create(body)
    started = time.monotonic()
    left = [name_of(body) for body in bodies]

    def is_done() -> bool:
        left[:] = [job for job in left if not gpus.has(job, "Succeeded")]
        return not left

    try:
        wait_until(f"the end of {len(bodies)} jobs", is_done, limit_s=240)
    finally:
        took_s, num_done = time.monotonic() - started, len(bodies) - len(left)
        figure("objects: PyTorchJobs reconciled", "100 %", f"{num_done} of {len(bodies)} in {took_s:.0f} s")
        gpus.clear()


def test_every_server_is_reconciled_until_it_is_ready(gpus: Pool, figure: Measure) -> None:
    """Ready by simulated pods: KServe's Deployment and Service, Kueue's quota, the scheduler's binding."""
    num_ready = num_asked = 0
    try:
        for recipe, profile in SIMULATED:
            # All servers of a recipe are of one size.
            body = next(Rendering.of(recipe, profile).servers())
            num_asked += 1
            gpus.cluster.create(body)
            wait_ready(gpus, name_of(body))
            num_ready += 1
            gpus.cluster.delete("InferenceService", name_of(body))
            wait_until("no pod", lambda: not gpus.cluster.list("Pod"), limit_s=60)
    finally:
        figure("objects: InferenceServices reconciled", "100 %", f"{num_ready} of {num_asked} Ready")
        kubectl("delete", "inferenceservices", "--all", "-n", gpus.cluster.namespace, "--timeout=60s")


def wait_ready(gpus: Pool, name: str) -> None:
    def is_ready() -> bool:
        found = gpus.cluster.get("InferenceService", name) or {}
        conditions = (found.get("status") or {}).get("conditions", ())
        return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)

    wait_until(f"server {name}", is_ready, limit_s=120)


@pytest.mark.full
@pytest.mark.parametrize(("recipe", "profile"), on_kubernetes())
def test_every_package_is_run_by_the_backend(recipe: str, profile: str, team: str, figure: Measure) -> None:
    """Up to the step that cuts the recipe; the upload alone proves nothing."""
    server, rendering = Server(ENDPOINT), Rendering.of(recipe, profile)
    made = submit(order(rendering, team, recipe), server)
    try:
        wait_until(
            "step plan", lambda: task_of(read_run(server, made.run), "plan").state == "succeeded", limit_s=180
        )
    finally:
        cancel(server, made.run)
    figure(f"objects: KFP package of {recipe}, {profile}", "taken up by KFP 2.0.5", "its first step ran")


def order(rendering: Rendering, namespace: str, recipe: str) -> Order:
    text = read_text(find_recipe(recipe))
    return Order(rendering.resolved, text, namespace, "tests", priority=None, no_cache=False)

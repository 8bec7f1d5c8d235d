"""What happens to trainings in real life: each must end with the bytes of the undisturbed one."""

import json
import re
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import yaml

from bed import control_plane
from bed.layout import API_PORT, KUBECONFIG, NODE_IP
from bed.objects import apply, kubectl
from bed.processes import pid
from spica.artifacts.manifest import Manifest

from .figures import Measure
from .training_world import NUM_EPOCHS, STEPS_PER_EPOCH, Client, World, quota_taker, weights
from .wire import Wire

pytestmark = [pytest.mark.cluster, pytest.mark.full]
Strike = Callable[[Client, str], None]
AWAY_S = 60.0


def delete_worker(client: Client, namespace: str) -> None:
    kubectl("delete", "pod", "-n", namespace, f"{client.job}-worker-0", "--wait=false")


def delete_worker_by_force(client: Client, namespace: str) -> None:
    kubectl("delete", "pod", "-n", namespace, f"{client.job}-worker-0", "--force", "--grace-period=0")


def evict_worker(client: Client, namespace: str) -> None:
    name = f"{client.job}-worker-0"
    metadata = {"name": name, "namespace": namespace}
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
    path = f"/api/v1/namespaces/{namespace}/pods/{name}/eviction"
    kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(body))


def kill_a_rank(client: Client, namespace: str) -> None:
    """SIGKILL to the trainer in the worker's pod, from the host."""
    ranks = [
        process
        for process in psutil.process_iter(["cmdline", "environ"])
        if "spica.sft.train" in (process.info["cmdline"] or ()) and "-m" in process.info["cmdline"]
        and (process.info["environ"] or {}).get("PET_NODE_RANK") == "1"
        and "torch.distributed.run" not in process.info["cmdline"]
    ]  # fmt: skip
    assert ranks
    for rank in ranks:
        rank.kill()


def preempt(client: Client, namespace: str) -> None:
    """A workload of higher priority takes the quota for a few seconds; two real pods save and come back."""
    name = f"urgent-{uuid.uuid4().hex[:6]}"
    apply(quota_taker(name, namespace, run_for_s=5))
    client.wait_for(r"preempted: ")
    kubectl("wait", "-n", namespace, "--for=condition=complete", f"job/{name}", "--timeout=300s")


@pytest.mark.parametrize(
    ("strike", "saves"),
    [
        (delete_worker, True),
        (evict_worker, True),
        (preempt, True),
        (delete_worker_by_force, False),
        (kill_a_rank, False),
    ],
)
def test_a_disturbed_training_ends_with_the_weights_of_the_undisturbed(
    world: World, undisturbed: Manifest, strike: Strike, saves: bool, figure: Measure
) -> None:
    client = world.start(strike.__name__.replace("_", "-"))
    client.wait_for(r"epoch 1/\d+ done")
    line = rf"step (\d+)/{NUM_EPOCHS * STEPS_PER_EPOCH} epoch (?!1/)"
    client.wait_for(line)
    strike(client, world.team)
    resumed = int(client.wait_for(r"goes on from step (\d+)/"))
    made = client.finish()
    before = client.log.read_text().partition("goes on from step")[0]
    step = max(map(int, re.findall(line, before)))
    lost = max(0, step - resumed)
    asked = f"same weights, lost steps {'0' if saves else f'<= {STEPS_PER_EPOCH}'}"
    measured = f"{compared(made, undisturbed)}; lost {lost} steps, {made.execution.wall_s:.0f} s"
    figure(f"faults: {strike.__name__.replace('_', ' ')}", asked, measured)
    assert weights(made) == weights(undisturbed)
    # SIGTERM loses nothing; otherwise at most the interval since the end of the epoch.
    assert resumed >= (step if saves else step - step % STEPS_PER_EPOCH)


def test_a_killed_clients_successor_takes_up_the_same_job(
    world: World, undisturbed: Manifest, figure: Measure
) -> None:
    def uid(client: Client) -> str:
        return kubectl("get", "pytorchjob", "-n", world.team, client.job, "-o", "jsonpath={.metadata.uid}")

    first = world.start("client-killed")
    first.wait_for(r"epoch 1/\d+ done")
    before = uid(first)
    first.process.kill()
    first.process.wait()
    second = world.start("client-killed")
    assert second.wait_for(r"job sft-d-t-[0-9a-f]+: (\w+) in") == "adopted"
    same = uid(second) == before
    made = second.finish()
    measured = f"{'the same job (uid)' if same else 'ANOTHER job'}; {compared(made, undisturbed)}"
    figure("client killed", "its successor adopts the same job", measured)
    assert same
    assert weights(made) == weights(undisturbed)


def test_two_runs_share_a_job_and_one_that_is_stopped_leaves_it_to_the_other(
    world: World, undisturbed: Manifest, figure: Measure
) -> None:
    first = world.start("two-runs")
    first.wait_for(r"epoch 1/\d+ done")
    second = world.start("two-runs")
    assert second.wait_for(r"job sft-d-t-[0-9a-f]+: (\w+) in") == "adopted"
    first.process.terminate()
    first.process.wait()
    made = second.finish()
    measured = f"adopted, goes on when the first is stopped; {compared(made, undisturbed)}"
    figure("client killed: two runs want one training", "one job, which outlives either", measured)
    assert weights(made) == weights(undisturbed)
    assert "goes on from step" not in second.log.read_text()


def stop_the_store(_client: Client, _namespace: str) -> None:
    """The S3 server stands still for a minute: requests hang, then go on."""
    everyone = psutil.process_iter(["cmdline"])
    (server,) = [one for one in everyone if "/bin/minio" in (one.info["cmdline"] or ())]
    server.suspend()
    try:
        time.sleep(AWAY_S)
    finally:
        server.resume()


def restart_the_api_server(_client: Client, _namespace: str) -> None:
    """Killed, and away for as long as a small cluster takes to notice."""
    server = psutil.Process(pid("apiserver"))
    server.kill()
    psutil.wait_procs([server])
    time.sleep(AWAY_S / 3)
    control_plane.up()


@pytest.mark.parametrize("strike", [stop_the_store, restart_the_api_server])
def test_a_training_outlives_what_it_needs_now_and_then(
    world: World, undisturbed: Manifest, strike: Strike, figure: Measure
) -> None:
    client = world.start(strike.__name__.replace("_", "-"))
    client.wait_for(r"epoch 2/\d+ done")
    strike(client, world.team)
    made = client.finish()
    resumed = "resumed" if "goes on from step" in client.log.read_text() else "not interrupted"
    measured = f"{compared(made, undisturbed)}; {resumed}, {made.execution.wall_s:.0f} s"
    figure(f"faults: {strike.__name__.replace('_', ' ')}", "same weights, not interrupted", measured)
    assert weights(made) == weights(undisturbed)
    assert resumed == "not interrupted"


def test_a_client_whose_connections_are_cut_goes_on_watching(
    world: World, undisturbed: Manifest, tmp_path: Path, figure: Measure
) -> None:
    config = yaml.safe_load(KUBECONFIG.read_text())
    with Wire((NODE_IP, API_PORT)) as wire:
        cluster = config["clusters"][0]["cluster"]
        cluster |= {"server": f"https://127.0.0.1:{wire.port}", "tls-server-name": "kubernetes"}
        (tmp_path / "config").write_text(yaml.safe_dump(config))
        client = world.start("watch-cut", KUBECONFIG=str(tmp_path / "config"))
        client.wait_for(r"epoch 1/\d+ done")
        cuts = [wire.cut()]
        client.wait_for(r"epoch 3/\d+ done")
        cuts.append(wire.cut(away_s=10))
        made = client.finish()
    measured = f"{compared(made, undisturbed)}; {' and '.join(map(str, cuts))} connections cut"
    figure("faults: watch cut twice, once for 10 s", "same weights", measured)
    assert min(cuts) > 0
    assert weights(made) == weights(undisturbed)


def compared(made: Manifest, undisturbed: Manifest) -> str:
    return "equal weights" if weights(made) == weights(undisturbed) else "OTHER weights"


def test_no_job_of_a_dead_client_is_left(world: World) -> None:
    """After all of the above: nothing runs that nobody waits for."""
    running = json.loads(kubectl("get", "pods", "-n", world.team, "-o", "json"))["items"]
    alive = [pod["metadata"]["name"] for pod in running if pod["status"]["phase"] in ("Pending", "Running")]
    assert [name for name in alive if not name.startswith("spica-reaper")] == []

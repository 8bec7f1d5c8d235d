"""Trainings by real pods: a PyTorchJob of two, checkpoints in S3, and what happens to jobs in real life.

Each disturbed training must end with the bytes of the undisturbed one.
"""

import json
import os
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import psutil
import pytest

from bed.layout import KUBECONFIG
from bed.objects import apply, kubectl
from bed.processes import pid
from spica.artifacts.folders import hash_files
from spica.artifacts.manifest import Execution, Manifest, Reference
from spica.artifacts.memo import perform
from spica.artifacts.s3_store import S3Store
from spica.artifacts.store import Store
from spica.artifacts.types import Kind
from spica.cluster.order import object_name
from spica.launch.local import LocalLauncher
from spica.recipe.slices import SftSlice
from spica.sft.run import run

from ..fakes.tiny_student import write_chat, write_student
from .training_client import slice_json

pytestmark = pytest.mark.cluster
CLIENT = Path(__file__).with_name("training_client.py")
NUM_EPOCHS = 16
STEPS_PER_EPOCH = 32
LIMIT_S = 600.0


class World:
    """A team's namespace, a bucket, and the inputs of a training in it."""

    def __init__(self, team: str, folder: Path) -> None:
        self.team, self.folder = team, folder
        boto3.client("s3").create_bucket(Bucket=team)
        self.store = S3Store(team, "inputs")
        self.inputs = {
            "student": self._publish("checkpoint", "student", write_student(folder / "student")),
            "chat": self._publish(
                "chat", "dataset-d_t", write_chat(folder / "chat", num_text=200, num_visual=60, num_val=3)
            ),
        }

    def _publish(self, kind: Kind, task: str, folder: Path) -> Reference:
        execution = Execution(started="", wall_s=0, cpu_s=0, tokens=0, host="", version="")
        manifest = Manifest(
            kind=kind, task=task, key=uuid.uuid4().hex * 2, slice={}, inputs={}, code="", seed=1,
            files=hash_files(folder), metrics={}, digest="", execution=execution,
        )  # fmt: skip
        manifest = manifest.model_copy(update={"digest": manifest.payload_digest()})
        return self.store.open(self.store.publish(folder, manifest)).reference

    def start(self, name: str) -> "Client":
        """A client whose state folder is new, as that of a pod is; equal names share a store."""
        return Client(self, name)


class Client:
    """A process that has a training done on the cluster; what it prints tells a test when to strike."""

    def __init__(self, world: World, name: str) -> None:
        folder = world.folder / f"{name}-{uuid.uuid4().hex[:6]}"
        folder.mkdir()
        self.store = Store.parse(f"s3://{world.team}/{name}")
        self._output = folder / f"{name}.json"
        # Inputs are the same in every store: a store of its own per test keeps their results apart.
        references = []
        for input_name, reference in world.inputs.items():
            artifact = world.store.resolve(reference, input_name)
            copied = self.store.publish(artifact.path, artifact.manifest)
            path = folder / f"{input_name}.json"
            path.write_text(self.store.open(copied).reference.model_dump_json())
            references.append(str(path))
        environment = {**os.environ, "SPICA_STATE": str(folder / "state")}
        self.log = folder / "log.txt"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-u",
                    str(CLIENT),
                    self.store.uri,
                    str(NUM_EPOCHS),
                    *references,
                    str(self._output),
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
            )

    def wait_for(self, pattern: str) -> str:
        """The first group of the pattern, as soon as a line holds it."""
        limit = time.monotonic() + LIMIT_S
        while time.monotonic() < limit:
            if found := re.search(pattern, self.log.read_text()):
                return found[1] if found.groups() else found[0]
            if self.process.poll() is not None:
                break
            time.sleep(0.2)
        pytest.fail(f"no line with {pattern}:\n{self.log.read_text()}")

    def finish(self) -> Manifest:
        """What was published."""
        assert self.process.wait(LIMIT_S) == 0, self.log.read_text()
        reference = Reference.model_validate_json(self._output.read_bytes())
        return self.store.resolve(reference, "output").manifest

    @property
    def job(self) -> str:
        return self.wait_for(r"job (sft-d-t-[0-9a-f]+): ")


def weights(manifest: Manifest) -> dict[str, str]:
    """Digests of everything that training decides."""
    return {entry.path: entry.sha256 for entry in manifest.files if entry.path != "README.md"}


@pytest.fixture(scope="module")
def world(team: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", str(KUBECONFIG))
        patch.setenv("SPICA_NAMESPACE", team)
        patch.setenv("SPICA_STATE", str(tmp_path_factory.mktemp("cache")))
        yield World(team, tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def undisturbed(world: World) -> Manifest:
    return world.start("undisturbed").finish()


def test_pods_train_the_weights_of_the_local_run(world: World, undisturbed: Manifest, tmp_path: Path) -> None:
    slice = SftSlice.model_validate_json(slice_json("laptop", NUM_EPOCHS))
    inputs = {name: world.store.resolve(reference, name) for name, reference in world.inputs.items()}
    store = Store.parse(f"file://{tmp_path}/store")
    local = perform(
        "sft-d_t", run, slice, inputs, store, LocalLauncher(tmp_path / "state"), tmp_path / "state"
    )
    assert weights(local.manifest) == weights(undisturbed)


def test_trained_again_the_artifact_is_found(world: World, undisturbed: Manifest) -> None:
    again = world.start("undisturbed")
    assert again.finish() == undisturbed
    assert "unchanged, from the store" in again.log.read_text()


def delete_worker(client: Client) -> None:
    kubectl("delete", "pod", "-n", client_namespace(), f"{client.job}-worker-0", "--wait=false")


def delete_worker_by_force(client: Client) -> None:
    kubectl(
        "delete", "pod", "-n", client_namespace(), f"{client.job}-worker-0", "--force", "--grace-period=0"
    )


def evict_worker(client: Client) -> None:
    name, namespace = f"{client.job}-worker-0", client_namespace()
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": namespace},
    }
    kubectl(
        "create",
        "--raw",
        f"/api/v1/namespaces/{namespace}/pods/{name}/eviction",
        "-f",
        "-",
        stdin=json.dumps(body),
    )


def kill_a_rank(client: Client) -> None:
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


def preempt(client: Client) -> None:
    """A workload of higher priority takes the quota for a few seconds; two real pods save and come back."""
    name = f"urgent-{uuid.uuid4().hex[:6]}"
    container = {
        "name": "main",
        "image": "localhost/spica/python:3.11",
        "command": ["sleep", "5"],
        "resources": {"requests": {"cpu": "1", "memory": "64Mi"}, "limits": {"memory": "64Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    pod = {
        "restartPolicy": "Never",
        "nodeSelector": {"spica.dev/pool": "cpu"},
        "securityContext": {
            "runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
    }  # fmt: skip
    labels = {"kueue.x-k8s.io/queue-name": "training", "kueue.x-k8s.io/priority-class": "serving"}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": client_namespace(), "labels": labels},
        "spec": {"suspend": True, "template": {"spec": pod}},
    }
    apply(json.dumps(job))
    client.wait_for(r"preempted: ")
    kubectl("wait", "-n", client_namespace(), "--for=condition=complete", f"job/{name}", "--timeout=300s")


def client_namespace() -> str:
    return os.environ["SPICA_NAMESPACE"]


@pytest.mark.full
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
    world: World, undisturbed: Manifest, strike: Callable[[Client], None], saves: bool
) -> None:
    client = world.start(strike.__name__.replace("_", "-"))
    client.wait_for(r"epoch 1/\d+ done")
    step = int(client.wait_for(rf"step (\d+)/{NUM_EPOCHS * STEPS_PER_EPOCH} epoch (?!1/)"))
    strike(client)
    resumed = int(client.wait_for(r"goes on from step (\d+)/"))
    assert weights(client.finish()) == weights(undisturbed)
    # SIGTERM loses nothing; otherwise at most the interval since the end of the epoch.
    assert resumed >= (step if saves else step - step % STEPS_PER_EPOCH)


@pytest.mark.full
def test_a_killed_clients_successor_takes_up_the_same_job(world: World, undisturbed: Manifest) -> None:
    first = world.start("client-killed")
    first.wait_for(r"epoch 1/\d+ done")
    before = kubectl("get", "pytorchjob", "-n", world.team, first.job, "-o", "jsonpath={.metadata.uid}")
    first.process.kill()
    first.process.wait()
    second = world.start("client-killed")
    assert second.wait_for(r"job sft-d-t-[0-9a-f]+: (\w+) in") == "adopted"
    after = kubectl("get", "pytorchjob", "-n", world.team, second.job, "-o", "jsonpath={.metadata.uid}")
    assert before == after
    assert weights(second.finish()) == weights(undisturbed)


def stop_the_store(client: Client) -> None:
    """The S3 server stands still for a minute: requests hang, then go on."""
    everyone = psutil.process_iter(["cmdline"])
    (server,) = [one for one in everyone if "/bin/minio" in (one.info["cmdline"] or ())]
    server.suspend()
    try:
        time.sleep(60)
    finally:
        server.resume()


def restart_the_api_server(client: Client) -> None:
    server = psutil.Process(pid("apiserver"))
    server.kill()
    psutil.wait_procs([server])
    subprocess.run([sys.executable, "-m", "bed", "up"], check=True, cwd=CLIENT.parent)


@pytest.mark.full
@pytest.mark.parametrize("strike", [stop_the_store, restart_the_api_server])
def test_a_training_outlives_what_it_needs_now_and_then(
    world: World, undisturbed: Manifest, strike: Callable[[Client], None]
) -> None:
    client = world.start(strike.__name__.replace("_", "-"))
    client.wait_for(r"epoch 2/\d+ done")
    strike(client)
    assert weights(client.finish()) == weights(undisturbed)
    assert "goes on from step" not in client.log.read_text()


def test_names_are_those_that_the_key_gives(world: World, undisturbed: Manifest) -> None:
    jobs = kubectl("get", "pytorchjobs", "-n", world.team, "-o", "name")
    assert f"/{object_name('sft-d_t', undisturbed.key)}" in jobs

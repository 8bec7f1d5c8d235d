"""Trainings whose clients are processes of their own: started, watched, struck, and compared at their end."""

import json
import os
import re
import subprocess
import sys
import time
import uuid
from pathlib import Path

import boto3
import pytest

from spica.artifacts.folders import hash_files
from spica.artifacts.manifest import Execution, Manifest, Reference
from spica.artifacts.s3_store import S3Store
from spica.artifacts.store import Store
from spica.artifacts.types import Kind

from ..fakes.tiny_student import write_chat, write_student

CLIENT = Path(__file__).with_name("training_client.py")
NUM_EPOCHS = 16
STEPS_PER_EPOCH = 32
LIMIT_S = 600.0


class World:
    """A team's namespace, a bucket, and the inputs of a training in it."""

    def __init__(self, team: str, folder: Path) -> None:
        self.team, self.folder = team, folder
        self._clients: list[Client] = []
        boto3.client("s3").create_bucket(Bucket=team)
        self.store = S3Store(team, "inputs")
        chat = write_chat(folder / "chat", num_text=200, num_visual=60, num_val=3)
        self.inputs = {
            "student": self.publish("checkpoint", "student", write_student(folder / "student")),
            "chat": self.publish("chat", "dataset-d_t", chat),
        }

    def publish(self, kind: Kind, task: str, folder: Path) -> Reference:
        """Put a folder into the store as a task of a run would."""
        execution = Execution(started="", wall_s=0, cpu_s=0, tokens=0, host="", version="")
        manifest = Manifest(
            kind=kind, task=task, key=uuid.uuid4().hex * 2, slice={}, inputs={}, code="", seed=1,
            files=hash_files(folder), metrics={}, digest="", execution=execution,
        )  # fmt: skip
        manifest = manifest.model_copy(update={"digest": manifest.payload_digest()})
        return self.store.open(self.store.publish(folder, manifest)).reference

    def start(self, name: str, **environment: str) -> "Client":
        """A client whose state folder is new, as that of a pod is; equal names share a store."""
        self._clients.append(Client(self, name, environment))
        return self._clients[-1]

    def close(self) -> None:
        """End the clients that a failed test left."""
        for client in self._clients:
            client.process.kill()
            client.process.wait()


class Client:
    """A process that has a training done on the cluster; what it prints tells a test when to strike."""

    def __init__(self, world: World, name: str, environment: dict[str, str]) -> None:
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
        self.log = folder / "log.txt"
        arguments = [CLIENT, self.store.uri, NUM_EPOCHS, *references, self._output]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-u", *map(str, arguments)],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "SPICA_STATE": str(folder / "state"), **environment},
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


def quota_taker(name: str, namespace: str, *, run_for_s: int, cpus: str = "1") -> str:
    """A Job of high priority in the queue of trainings: beside it no training fits."""
    container = {
        "name": "main",
        "image": "localhost/spica/python:3.11",
        "command": ["sleep", str(run_for_s)],
        "resources": {"requests": {"cpu": cpus, "memory": "64Mi"}, "limits": {"memory": "64Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    pod = {
        "restartPolicy": "Never",
        "nodeSelector": {"spica.dev/pool": "cpu"},
        "terminationGracePeriodSeconds": 0,
        "securityContext": {
            "runAsNonRoot": True, "runAsUser": 10001, "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
    }  # fmt: skip
    labels = {"kueue.x-k8s.io/queue-name": "training", "kueue.x-k8s.io/priority-class": "spica-serving"}
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    spec = {"suspend": True, "template": {"spec": pod}}
    return json.dumps({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec})

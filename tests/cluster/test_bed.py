"""The test cluster itself: each operator does its work once, on real pods where pods are real."""

import contextlib
import json
import os
import string
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import boto3
import pytest

from bed import images, network
from bed.layout import KFP_IP, MINIO_IP, STATE
from bed.objects import kubectl, unready

from .figures import Measure

pytestmark = pytest.mark.cluster
EXAMPLES = Path(__file__).parent / "examples"
OPERATORS = {
    "argo/workflow-controller",
    "kserve/kserve-controller-manager",
    "kube-system/coredns",
    "kube-system/kwok-controller",
    "kubeflow/metadata-grpc",
    "kubeflow/ml-pipeline",
    "kubeflow/ml-pipeline-persistenceagent",
    "kubeflow/training-operator",
    "kueue-system/kueue-controller-manager",
    "spica-storage/minio",
}


def test_every_operator_and_node_is_ready() -> None:
    deployments = {
        f"{item['metadata']['namespace']}/{item['metadata']['name']}" for item in listed("deployments", "-A")
    }
    assert deployments >= OPERATORS
    assert unready() == []
    gpus = [item["status"]["allocatable"].get("nvidia.com/gpu", "0") for item in listed("nodes")]
    assert sorted(gpus) == ["0", *["8"] * 8]


def test_no_process_of_the_cluster_is_in_the_network_of_the_machine() -> None:
    machine = os.stat("/proc/self/ns/net").st_ino
    pids = [int(file.read_text().split()[0]) for file in (STATE / "pid").iterdir()]
    assert len(pids) == 8
    assert machine not in {os.stat(f"/proc/{pid}/ns/net").st_ino for pid in pids}


def test_memory_and_start_are_what_one_machine_has(figure: Measure) -> None:
    pss_kib = 0
    for process in network.pids():
        with contextlib.suppress(OSError, ValueError):
            rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
            pss_kib += int(rollup.partition("\nPss:")[2].split()[0])
    started_s = (STATE / "up_s").read_text()
    measured = f"{pss_kib / 2**20:.1f} GiB (PSS), last start {started_s} s"
    figure("make cluster: memory, warm start", "<= 4 GB, <= 90 s", measured)
    assert pss_kib < 4 * 2**20


def test_a_second_cluster_is_refused_and_told_who_holds_the_machine(tmp_path: Path, figure: Measure) -> None:
    command = [sys.executable, "-m", "bed", "up"]
    environment = os.environ | {"SPICA_CACHE": str(tmp_path), "PYTHONPATH": str(EXAMPLES.parent)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    figure(
        "make cluster: a second one",
        "side by side, or a lock that says who",
        f"refused, exit {done.returncode}",
    )
    assert done.returncode == 3
    assert f"state in {STATE}" in done.stderr
    assert "make cluster-down" in done.stderr


def test_two_real_pods_reduce_over_gloo(namespace: str) -> None:
    create(namespace, "allreduce", venv=str(Path(sys.prefix).resolve()))
    wait(namespace, "pytorchjob/allreduce", "Succeeded", limit_s=180)
    logs = [kubectl("logs", "-n", namespace, f"allreduce-{rank}-0") for rank in ("master", "worker")]
    assert logs == ["rank 0 of 2: 3\n", "rank 1 of 2: 3\n"]


def test_an_inference_service_answers_with_the_weights_from_s3(namespace: str) -> None:
    s3 = boto3.client(
        "s3",
        endpoint_url=f"http://{MINIO_IP}:9000",
        aws_access_key_id="spica",
        aws_secret_access_key="spica-secret",
        region_name="us-east-1",
    )
    s3.create_bucket(Bucket=namespace)
    s3.put_object(Bucket=namespace, Key="tiny/config.json", Body=b'{"model": "tiny"}')
    create(namespace, "inference")
    wait(namespace, "inferenceservice/tiny", "Ready", limit_s=120)
    service = json.loads(kubectl("get", "service", "tiny-predictor", "-n", namespace, "-o", "json"))
    with urllib.request.urlopen(f"http://{service['spec']['clusterIP']}/config.json") as answer:
        assert json.load(answer) == {"model": "tiny"}


@pytest.mark.filterwarnings("ignore:This client only works with:FutureWarning")
def test_a_pipeline_of_two_steps_passes_an_artifact(tmp_path: Path) -> None:
    import kfp
    from kfp import compiler, dsl

    component = dsl.component(base_image=images.KFP_PYTHON, install_kfp_package=False)

    @component
    def write(text: str, out: dsl.Output[dsl.Dataset]) -> None:
        with open(out.path, "w") as file:
            file.write(text)

    @component
    def count(data: dsl.Input[dsl.Dataset]) -> int:
        with open(data.path) as file:
            return len(file.read())

    @dsl.pipeline
    def two_steps(text: str = "hello") -> int:
        written = write(text=text).set_caching_options(False)
        return count(data=written.outputs["out"]).set_caching_options(False).output

    package = tmp_path / "two_steps.yaml"
    compiler.Compiler().compile(two_steps, str(package))
    client = kfp.Client(host=f"http://{KFP_IP}:8888")
    run = client.create_run_from_pipeline_package(str(package), experiment_name="bed")
    done = client.wait_for_run_completion(run.run_id, timeout=300, sleep_duration=1)
    tasks = {task.display_name: task.state for task in done.run_details.task_details}
    assert done.state == "SUCCEEDED"
    assert {tasks["write"], tasks["count"]} == {"SUCCEEDED"}


def test_a_restricted_namespace_runs_the_restricted_pod_and_refuses_another(namespace: str) -> None:
    kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    create(namespace, "restricted")
    phase = "--for=jsonpath={.status.phase}=Succeeded"
    kubectl("wait", phase, "pod/restricted", "-n", namespace, "--timeout=60s")
    assert kubectl("logs", "restricted", "-n", namespace) == f"system:serviceaccount:{namespace}:default\n"
    with pytest.raises(Exception, match="violates PodSecurity"):
        kubectl("run", "loose", "-n", namespace, f"--image={images.BASE}")


def create(namespace: str, example: str, **values: str) -> None:
    text = string.Template((EXAMPLES / f"{example}.yaml").read_text()).substitute(
        images.names() | values, namespace=namespace
    )
    kubectl("apply", "--server-side", "--validate=strict", "-n", namespace, "-f", "-", stdin=text)


def listed(kind: str, *options: str) -> list[dict[str, Any]]:
    return list(json.loads(kubectl("get", kind, *options, "-o", "json"))["items"])


def wait(namespace: str, target: str, condition: str, *, limit_s: int) -> None:
    kubectl("wait", f"--for=condition={condition}", target, "-n", namespace, f"--timeout={limit_s}s")

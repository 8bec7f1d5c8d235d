import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from spica.cluster.order import MAX_NAME, label_value, object_name
from spica.cluster.pytorchjob import merge
from spica.recipe.load import load_recipe

from .orders import KEY, job_of

GOLDEN = Path(__file__).parents[2] / "contract" / "golden"
DNS_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
ON_KUBERNETES = [
    (recipe, profile)
    for recipe in ("miniature", "virgo-7b", "virgo-72b")
    for profile in ("cluster2", "cluster64")
    if (recipe == "miniature" or profile == "cluster64")
]


def assert_golden(name: str, value: Any) -> None:
    path = GOLDEN / name
    # Through JSON: what two replicas share is written out twice.
    text = yaml.safe_dump(json.loads(json.dumps(value)), sort_keys=True)
    if os.environ.get("SPICA_UPDATE_GOLDEN"):
        path.write_text(text)
    assert path.read_text() == text, f"{name} changed: `make golden`, then review the diff"


def container(job: dict[str, Any], replica: str = "Master") -> dict[str, Any]:
    [only] = job["spec"]["pytorchReplicaSpecs"][replica]["template"]["spec"]["containers"]
    return dict(only)


@pytest.mark.parametrize(("recipe", "profile"), ON_KUBERNETES)
def test_the_job_of_each_profile_is_the_golden_one(recipe: str, profile: str) -> None:
    assert load_recipe(recipe, profile).scale.launcher == "kubernetes"
    assert_golden(f"pytorchjob-{recipe}-{profile}.yaml", job_of(recipe, profile))


def test_64_gpus_are_a_master_and_seven_workers_of_8() -> None:
    job = job_of("virgo-72b", "cluster64")
    replicas = job["spec"]["pytorchReplicaSpecs"]
    assert {name: spec["replicas"] for name, spec in replicas.items()} == {"Master": 1, "Worker": 7}
    assert container(job, "Worker")["resources"]["limits"]["nvidia.com/gpu"] == "8"
    assert job["spec"]["nprocPerNode"] == "8"


def test_a_training_of_one_node_has_no_workers() -> None:
    assert list(job_of(num_nodes=1)["spec"]["pytorchReplicaSpecs"]) == ["Master"]


def test_the_operator_finds_the_container_by_its_name() -> None:
    assert container(job_of())["name"] == "pytorch"


@pytest.mark.parametrize("replica", ["Master", "Worker"])
def test_pods_keep_the_rules_of_pod_security_restricted(replica: str) -> None:
    job = job_of("miniature", "cluster2")
    pod = job["spec"]["pytorchReplicaSpecs"][replica]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container(job, replica)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False
    assert all({"emptyDir", "configMap"} & volume.keys() for volume in pod["volumes"])


def test_only_infiniband_and_roce_ask_for_a_capability() -> None:
    assert container(job_of())["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["IPC_LOCK"]}


def test_secrets_are_named_and_never_contained(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"):
        monkeypatch.setenv(name, "canary-secret")
    text = json.dumps(job_of())
    assert "canary-secret" not in text and "AWS_SECRET" not in text
    assert container(job_of())["envFrom"] == [{"secretRef": {"name": "spica-s3"}}]


def test_nothing_in_the_arguments_is_a_variable_to_the_kubelet() -> None:
    [argument] = container(job_of())["args"]
    assert "$" not in argument
    assert json.loads(json.loads(argument)["slice"])["price"] == "$(HOME) $$5"


def test_run_and_owner_change_nothing_that_is_compared() -> None:
    first, second = job_of(), job_of(run="run-2", owner="Workflow/kubeflow/w")
    assert first["metadata"]["name"] == second["metadata"]["name"]
    digest = "spica.dev/spec-digest"
    assert first["metadata"]["annotations"][digest] == second["metadata"]["annotations"][digest]


def test_another_slice_changes_what_is_compared() -> None:
    digests = {job_of(slice=text)["metadata"]["annotations"]["spica.dev/spec-digest"] for text in "ab"}
    assert len(digests) == 2


def test_what_the_platform_team_adds_reaches_every_pod() -> None:
    environment = {"name": "environment", "persistentVolumeClaim": {"claimName": "spica-environment"}}
    mount = {"name": "environment", "mountPath": "/venv", "readOnly": True}
    extra = {
        "name": "pytorch",
        "image": "theirs",
        "volumeMounts": [mount],
        "env": [{"name": "A", "value": "1"}],
    }
    template = {
        "metadata": {"annotations": {"team": "x"}},
        "spec": {"containers": [extra], "volumes": [environment]},
    }
    job = job_of(template=template)
    for replica in ("Master", "Worker"):
        pod = job["spec"]["pytorchReplicaSpecs"][replica]["template"]
        assert pod["metadata"]["annotations"] == {"team": "x"}
        assert environment in pod["spec"]["volumes"]
        made = container(job, replica)
        assert made["image"] == "registry.example/train:1"
        assert mount in made["volumeMounts"] and {"name": "A", "value": "1"} in made["env"]


@pytest.mark.parametrize(
    ("theirs", "ours", "merged"),
    [
        ({}, {"a": 1}, {"a": 1}),
        ({"a": 1}, {}, {"a": 1}),
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": {"b": 1}}, {"a": {"c": 2}}, {"a": {"b": 1, "c": 2}}),
        ({"a": ["x", "y"]}, {"a": ["y"]}, {"a": ["y", "x"]}),
        (
            {"a": [{"name": "x", "v": 1}]},
            {"a": [{"name": "x", "w": 2}]},
            {"a": [{"name": "x", "v": 1, "w": 2}]},
        ),
        ({"a": [{"name": "x"}]}, {"a": [{"name": "y"}]}, {"a": [{"name": "y"}, {"name": "x"}]}),
        ({"a": [{"key": "t"}]}, {"a": [{"key": "t"}]}, {"a": [{"key": "t"}]}),
        (
            {"a": [{"name": "tmp", "mountPath": "/cache"}]},
            {"a": [{"name": "tmp", "mountPath": "/tmp"}]},
            {"a": [{"name": "tmp", "mountPath": "/tmp"}, {"name": "tmp", "mountPath": "/cache"}]},
        ),
        ({"a": None}, {"a": {"b": 1}}, {"a": {"b": 1}}),
    ],
)
def test_ours_wins_and_theirs_is_added(theirs: Any, ours: Any, merged: Any) -> None:
    assert merge(theirs, ours) == merged


@pytest.mark.parametrize(
    "task", ["sft-d_t+d_sd", "2nd.try", "a" * 81, "a" + "-+_." * 20, "sft-" + "é" * 70, "0", "x-", "SFT_D"]
)
def test_every_name_is_a_dns_label_that_operators_may_lengthen(task: str) -> None:
    name = object_name(task, KEY)
    assert DNS_LABEL.fullmatch(name) and len(name) <= MAX_NAME
    assert object_name(task, KEY) == name


def test_two_tasks_never_share_a_name() -> None:
    tasks = ["sft-d_t", "sft-d.t", "sft-d+t", "sft-d-t", "1sft-d-t", "a" * 80, "a" * 81, "a" * 50, "+", "."]
    assert len({object_name(task, KEY) for task in tasks}) == len(tasks)


def test_two_keys_of_one_task_never_share_a_name() -> None:
    assert object_name("sft", "a" * 63 + "b") != object_name("sft", "a" * 64)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("sft-d_t+d_sd", "sft-d_t.d_sd"),
        ("-a-", "a"),
        ("a b/c", "a.b.c"),
        ("a" * 62 + "-b", "a" * 62),
        ("é", ""),
        ("", ""),
    ],
)
def test_a_text_becomes_a_value_that_a_label_may_have(text: str, value: str) -> None:
    assert label_value(text) == value

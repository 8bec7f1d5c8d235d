"""Compile the pipeline: the graph of a recipe's arms, and what a profile adds to its steps.

A step of the pipeline computes on a CPU of its own disk and memory; what needs GPUs it starts elsewhere and
waits for. So no pod of a pipeline ever asks for a GPU.
"""

import copy
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import yaml
from kfp import compiler

from spica.artifacts.manifest import canonical_json, sha256_of
from spica.recipe.arms import Arm
from spica.recipe.keys import key_variables
from spica.recipe.load import Resolved
from spica.recipe.schema import PROXY_KEYS, STORAGE_KEYS, Kubernetes, Recipe
from spica_pipelines.post_training import post_training

POD_LABELS = {"app.kubernetes.io/part-of": "spica", "app.kubernetes.io/component": "pipeline"}
CA_FOLDER = "/etc/spica/ca"

ENVIRONMENT = {
    # The container's own layer: KFP 2.0 mounts no empty folder, and /tmp can be written by every user.
    "SPICA_STATE": "/tmp/spica",
    "PYTHONUNBUFFERED": "1",
}


class Step(NamedTuple):
    """What the pod of one kind of step asks for; CPU is never limited."""

    cpus: float
    memory_gb: float
    max_memory_gb: float
    """Beyond it the kernel ends the step."""


WAITING = Step(cpus=0.1, memory_gb=0.3, max_memory_gb=4.0)
"""Steps that ask endpoints or watch jobs."""
WORKING = Step(cpus=0.25, memory_gb=0.5, max_memory_gb=8.0)
"""Steps that read, clean and write rows themselves."""
STEPS = {
    "plan": Step(cpus=0.1, memory_gb=0.2, max_memory_gb=1.0),
    "sft": WAITING,
    "distill": WAITING,
    "self-distill": WAITING,
    "evaluate": WAITING,
    "serve": WAITING,
    "student": WORKING,
    "sources": WORKING,
    "dataset": WORKING,
    "report": WORKING,
}


class Package(NamedTuple):
    """What a KFP server takes: the pipeline, and the platform document where steps are pods."""

    spec: dict[str, Any]
    platform: dict[str, Any]

    @property
    def text(self) -> str:
        """One YAML stream."""
        documents = [self.spec, self.platform] if self.platform["platforms"] else [self.spec]
        return str(yaml.dump_all(documents, Dumper=yaml.CSafeDumper, sort_keys=True))

    @property
    def version(self) -> str:
        """Equal packages have equal names."""
        digest = sha256_of(canonical_json([self.spec, self.platform]))
        return f"{self.spec['pipelineInfo']['name']}-{digest[:16]}"


def package(resolved: Resolved, namespace: str = "") -> Package:
    """The pipeline with what a profile adds.

    Args:
        resolved: the recipe under the profile.
        namespace: where the steps make jobs and servers; the namespace of their own pods when empty.
    """
    spec, kubernetes = graph(resolved.recipe.compared), resolved.scale.kubernetes
    labels = sorted(spec["deploymentSpec"]["executors"])
    if resolved.scale.launcher == "local" or kubernetes is None:
        return Package(spec, {"platforms": {}})
    environment = {**ENVIRONMENT, **certificates(kubernetes)}
    if namespace:
        environment["SPICA_NAMESPACE"] = namespace
    for label in labels:
        _furnish(spec["deploymentSpec"]["executors"][label]["container"], step(label), environment)
    for task in spec["root"]["dag"]["tasks"].values():
        # Spica's own cache decides, which verifies what it finds; KFP's never looks whether artifacts exist.
        task["cachingOptions"] = {}
    return Package(spec, platform(kubernetes, resolved.recipe, labels))


def graph(arms: tuple[Arm, ...]) -> dict[str, Any]:
    """The pipeline spec, equal for all recipes and profiles that compare these arms."""
    return copy.deepcopy(_compiled(arms))


@cache
def _compiled(arms: tuple[Arm, ...]) -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        path = Path(folder, "post_training.yaml")
        compiler.Compiler().compile(post_training(arms), str(path))
        return dict(yaml.safe_load(path.read_text()))


def step(label: str) -> Step:
    """What a step asks for, by the label of its executor, such as exec-dataset-2."""
    kind = label.removeprefix("exec-").removesuffix("-union").rstrip("0123456789").rstrip("-")
    return STEPS[kind]


def platform(kubernetes: Kubernetes, recipe: Recipe, labels: list[str]) -> dict[str, Any]:
    """The platform document of a profile: the pool of the steps, and secrets by name.

    Args:
        kubernetes: the profile's section.
        recipe: which variables hold the keys of teachers and judge.
        labels: executors of the graph.

    Field names are those of kfp-kubernetes' KubernetesExecutorConfig.
    """
    configs = {}
    keys, names = key_variables(recipe.models, recipe.distill, recipe.evaluate), kubernetes.secrets
    needed = {
        "exec-distill": (names.teacher, keys.distill),
        "exec-self-distill": (names.teacher, keys.self_distill),
        "exec-evaluate": (names.judge, keys.evaluate),
    }
    for label in labels:
        secrets = [_secret(names.storage, STORAGE_KEYS)]
        if names.proxy:
            secrets.append(_secret(names.proxy, PROXY_KEYS))
        secret, variable = needed.get(label.rstrip("0123456789").rstrip("-"), (None, None))
        if secret and variable:
            secrets.append(_secret(secret, (variable,)))
        configs[label] = {
            "nodeSelector": {"labels": node_selector(kubernetes)},
            "podMetadata": {"labels": dict(POD_LABELS)},
            "secretAsEnv": secrets,
        }
        if names.ca_bundle:
            mount = {"configMapName": names.ca_bundle, "mountPath": CA_FOLDER}
            configs[label]["configMapAsVolume"] = [mount]
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": configs}}}}


def _secret(name: str, variables: tuple[str, ...]) -> dict[str, Any]:
    return {"secretName": name, "keyToEnv": [{"secretKey": key, "envVar": key} for key in variables]}


def node_selector(kubernetes: Kubernetes) -> dict[str, str]:
    """Label of the nodes that carry the steps."""
    return {"spica.dev/pool": kubernetes.step_node_pool}


def certificates(kubernetes: Kubernetes) -> dict[str, str]:
    """Variables by which clients find the authority's certificates, where the profile names some."""
    if not kubernetes.secrets.ca_bundle:
        return {}
    variables = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE")
    return dict.fromkeys(variables, f"{CA_FOLDER}/ca.crt")


def _furnish(container: dict[str, Any], wanted: Step, environment: Mapping[str, str]) -> None:
    """Plain variables and resources belong to the pipeline, the platform document has no place for them."""
    container["env"] = [{"name": name, "value": value} for name, value in sorted(environment.items())]
    # The number fields: KFP 2.0 to 2.3 read no others, newer ones still do. Unit: 1e9 bytes.
    container["resources"] = {
        "cpuRequest": wanted.cpus,
        "memoryRequest": wanted.memory_gb,
        "memoryLimit": wanted.max_memory_gb,
    }

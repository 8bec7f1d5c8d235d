"""Compile the pipeline: one graph for every recipe, and one Kubernetes platform document per profile."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from kfp import compiler

from spica.recipe.schema import Scale
from spica_pipelines.post_training import post_training

S3_SECRET = "spica-s3"
TEACHER_SECRET = "spica-teacher"
CPU_POOL = {"spica.dev/pool": "cpu"}


def graph() -> dict[str, Any]:
    """The pipeline spec, equal for all recipes and profiles."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "post_training.yaml")
        compiler.Compiler().compile(post_training, str(path))
        return dict(yaml.safe_load(path.read_text()))


def platform(scale: Scale, api_key_env: str | None, executors: list[str]) -> dict[str, Any]:
    """The platform document of a profile: secrets by name and the CPU pool; no pod of a pipeline holds a GPU.

    Args:
        scale: the profile.
        api_key_env: variable that holds the teacher's key, if the recipe names one.
        executors: executor labels of the graph.

    Field names are those of kfp-kubernetes' KubernetesExecutorConfig.
    """
    if scale.launcher == "local":
        return {"platforms": {}}
    configs: dict[str, Any] = {}
    for executor in executors:
        secrets = [_secret(S3_SECRET, ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))]
        if api_key_env and executor.startswith("exec-distill"):
            secrets.append(_secret(TEACHER_SECRET, (api_key_env,)))
        configs[executor] = {"nodeSelector": {"labels": CPU_POOL}, "secretAsEnv": secrets}
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": configs}}}}


def _secret(name: str, variables: tuple[str, ...]) -> dict[str, Any]:
    return {"secretName": name, "keyToEnv": [{"secretKey": key, "envVar": key} for key in variables]}


def package(scale: Scale, api_key_env: str | None) -> str:
    """Graph and platform document as one YAML stream, as KFP's API server takes it."""
    spec = graph()
    documents = [spec]
    labels = sorted(spec["deploymentSpec"]["executors"])
    settings = platform(scale, api_key_env, labels)
    if settings["platforms"]:
        documents.append(settings)
    return yaml.safe_dump_all(documents, sort_keys=True)

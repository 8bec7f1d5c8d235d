"""The compiled pipeline: one graph, a platform document per profile, both as golden files."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from spica.recipe.load import load_recipe
from spica_pipelines.compile import graph, platform

GOLDEN = Path(__file__).parent / "golden"


def assert_golden(name: str, value: Any) -> None:
    path = GOLDEN / name
    text = yaml.safe_dump(value, sort_keys=True)
    if os.environ.get("SPICA_UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert path.read_text() == text, f"{name} changed: `make golden`, then review the diff"


def test_the_graph_is_the_golden_one() -> None:
    assert_golden("post_training.yaml", graph())


@pytest.mark.parametrize("profile", ["laptop", "node8", "cluster64"])
def test_the_platform_document_of_each_profile_is_the_golden_one(profile: str) -> None:
    resolved = load_recipe("virgo-72b", profile)
    labels = sorted(graph()["deploymentSpec"]["executors"])
    assert_golden(
        f"platform-{profile}.yaml",
        platform(resolved.scale, resolved.recipe.models.teacher.api_key_env, labels),
    )


def test_no_pod_of_the_pipeline_asks_for_a_gpu() -> None:
    executors = graph()["deploymentSpec"]["executors"].values()
    assert [e for e in executors if "accelerator" in str(e.get("container", {}).get("resources", ""))] == []

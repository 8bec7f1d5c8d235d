import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from spica.artifacts.types import FileEntry
from spica.cluster.inferenceservice import files_json, inference_service, server_name
from spica.recipe.slices import ServerScale

from .served import checkpoint, kubernetes, server

GOLDEN = Path(__file__).parents[2] / "contract" / "golden"
OWNER = "Workflow/kubeflow/run-1"


@pytest.mark.parametrize(
    ("recipe", "profile", "num_servers"), [("miniature", "cluster2", 1), ("virgo-72b", "cluster64", 8)]
)
def test_the_object_of_each_profile_is_the_golden_one(recipe: str, profile: str, num_servers: int) -> None:
    body = inference_service(
        server(num_servers=num_servers), kubernetes(recipe, profile), run="run-1", owner=OWNER
    )
    golden, text = GOLDEN / f"inferenceservice-{recipe}-{profile}.yaml", yaml.safe_dump(body, sort_keys=True)
    if os.environ.get("SPICA_UPDATE_GOLDEN"):
        golden.write_text(text)
    assert golden.read_text() == text, f"{golden.name} changed: `make golden`, then review the diff"


def test_data_parallel_servers_become_pods_that_are_not_data_parallel_inside() -> None:
    predictor = inference_service(server(num_servers=3), kubernetes(), "r", OWNER)["spec"]["predictor"]
    assert (predictor["minReplicas"], predictor["maxReplicas"]) == (3, 3)
    _, name, _, scale = predictor["model"]["args"]
    assert name == "D_T"
    assert ServerScale.model_validate_json(scale).num_servers == 1


@pytest.mark.parametrize("name", ["D_T+D_SD", "7b", "", "x" * 200, "-ü-", "M0"])
def test_every_derived_name_is_a_dns_label(name: str) -> None:
    found = server_name(server(name=name), OWNER)
    assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", found)
    assert len(f"isvc.{found}-predictor") <= 63


def test_another_owner_model_or_checkpoint_gives_another_name() -> None:
    asked = server()
    other = replace(asked, checkpoint=checkpoint(digest="e" * 64))
    names = {
        server_name(asked, OWNER),
        server_name(asked, "Lease/team/run-1"),
        server_name(server(name="D_SD"), OWNER),
        server_name(other, OWNER),
    }
    assert len(names) == 4


def test_another_size_keeps_the_name_and_changes_the_digest() -> None:
    one, two = (
        inference_service(server(num_servers=n), kubernetes(), "r", OWNER)["metadata"] for n in (1, 2)
    )
    assert one["name"] == two["name"]
    assert one["annotations"]["spica.dev/spec-digest"] != two["annotations"]["spica.dev/spec-digest"]


def test_an_owner_is_no_part_of_the_digest() -> None:
    one, two = (inference_service(server(), kubernetes(), "r", o)["metadata"] for o in (OWNER, "Lease/a/b"))
    assert one["annotations"]["spica.dev/spec-digest"] == two["annotations"]["spica.dev/spec-digest"]


def test_a_file_name_reaches_neither_templates_nor_variables() -> None:
    hostile = FileEntry(path="a{{.Name}}{{{b$(HOME)$$", size=1, sha256="a" * 64)
    text = files_json(checkpoint((hostile,)).manifest)
    assert "{{" not in text
    assert "$" not in text
    assert json.loads(text)[0]["path"] == hostile.path


def test_only_pools_with_gpus_tolerate_their_taint() -> None:
    on_cpu = inference_service(server(), kubernetes(), "r", OWNER)["spec"]["predictor"]
    on_gpu = inference_service(server(), kubernetes("virgo-72b", "cluster64"), "r", OWNER)["spec"][
        "predictor"
    ]
    assert "tolerations" not in on_cpu
    assert "nvidia.com/gpu" not in on_cpu["model"]["resources"]["limits"]
    assert on_gpu["tolerations"][0]["key"] == "nvidia.com/gpu"
    assert on_gpu["model"]["resources"]["limits"]["nvidia.com/gpu"] == "8"


def test_starting_up_may_take_as_long_as_the_profile_says() -> None:
    pods = kubernetes()
    pods = pods.model_copy(update={"serving": pods.serving.model_copy(update={"ready_timeout_s": 601})})
    probe = inference_service(server(), pods, "r", OWNER)["spec"]["predictor"]["model"]["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= 601

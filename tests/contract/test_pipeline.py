"""The compiled pipeline: one graph, what each profile adds to it, and what older servers make of it."""

import copy
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from spica.errors import PrerequisiteError
from spica.recipe.arms import comparison, needed_tasks
from spica.recipe.load import Resolved, load_recipe, read_text, recipes_folder
from spica.recipe.schema import M0, Secrets, compared_arms
from spica_pipelines.compile import STEPS, Package, graph, package, step
from spica_pipelines.fit import MAX_TASKS, PLATFORM_FIELDS, Version, fit

GOLDEN = Path(__file__).parent / "golden"
ARMS = compared_arms(M0)
GRAPH = graph(ARMS)


def assert_golden(name: str, value: Any) -> None:
    path = GOLDEN / name
    text = yaml.safe_dump(value, sort_keys=True)
    if os.environ.get("SPICA_UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert path.read_text() == text, f"{name} changed: `make golden`, then review the diff"


@pytest.fixture
def resolved() -> Resolved:
    return load_recipe("virgo-72b", "cluster64")


def containers(packed: Package) -> dict[str, Any]:
    executors = packed.spec["deploymentSpec"]["executors"]
    return {label: executor["container"] for label, executor in executors.items()}


def settings(packed: Package) -> dict[str, Any]:
    executors: dict[str, Any] = packed.platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    return executors


def with_secrets(resolved: Resolved, **names: str) -> Resolved:
    kubernetes = resolved.scale.kubernetes
    assert kubernetes
    secrets = Secrets.model_validate({**kubernetes.secrets.model_dump(), **names})
    changed = kubernetes.model_copy(update={"secrets": secrets})
    return resolved._replace(scale=resolved.scale.model_copy(update={"kubernetes": changed}))


def test_the_graph_is_the_golden_one() -> None:
    assert_golden("post_training.yaml", GRAPH)


@pytest.mark.parametrize(
    ("recipe", "profile"),
    [("virgo-72b", "laptop"), ("virgo-72b", "cluster64"), ("miniature", "cluster2")],
)
def test_what_a_profile_adds_is_the_golden_one(recipe: str, profile: str) -> None:
    packed = package(load_recipe(recipe, profile), "spica")
    added = {
        label: {key: container.get(key) for key in ("env", "resources")}
        for label, container in containers(packed).items()
    }

    assert_golden(f"platform-{profile}.yaml", {"platform": packed.platform, "containers": added})


def test_equal_packages_have_equal_versions_and_others_do_not(resolved: Resolved) -> None:
    version = package(resolved, "spica").version

    assert version == package(resolved, "spica").version
    assert version != package(resolved, "another").version
    assert version.startswith("post-training-") and len(version) == len("post-training-") + 16


def test_no_pod_of_the_pipeline_asks_for_a_gpu(resolved: Resolved) -> None:
    packed = package(resolved, "spica")

    assert [label for label, item in containers(packed).items() if "accelerator" in item["resources"]] == []
    assert {str(item["nodeSelector"]["labels"]) for item in settings(packed).values()} == {
        "{'spica.dev/pool': 'cpu'}"
    }


def test_every_step_has_its_resources_and_every_kind_is_used() -> None:
    labels = GRAPH["deploymentSpec"]["executors"]
    kinds = {kind for kind in STEPS for label in labels if step(label) is STEPS[kind]}

    assert kinds == set(STEPS)
    assert step("exec-sft-union") == STEPS["sft"] and step("exec-evaluate-5") == STEPS["evaluate"]


def holders(packed: Package, secret: str) -> dict[str, list[str]]:
    """Steps that are given a secret, and the variables they get of it."""
    return {
        label: [key["envVar"] for key in given["keyToEnv"]]
        for label, config in settings(packed).items()
        for given in config["secretAsEnv"]
        if given["secretName"] == secret
    }


def test_only_steps_that_ask_a_teacher_or_the_judge_are_given_its_key(resolved: Resolved) -> None:
    packed = package(resolved, "spica")

    assert holders(packed, "spica-teacher") == {"exec-distill": ["TEACHER_API_KEY"]}
    assert set(holders(packed, "spica-judge")) == {
        label for label in settings(packed) if label.startswith("exec-evaluate")
    }


def test_a_visual_teacher_of_ones_own_gives_its_key_to_the_step_that_asks_it(resolved: Resolved) -> None:
    recipe = resolved.recipe
    qvq = recipe.models.teachers["qvq"].model_copy(update={"api_key_env": "QVQ_KEY"})
    teachers = {**recipe.models.teachers, "qvq": qvq}
    visual = recipe.distill.visual.model_copy(update={"teacher": "qvq"})
    changed = recipe.model_copy(
        update={
            "models": recipe.models.model_copy(update={"teachers": teachers}),
            "distill": recipe.distill.model_copy(update={"visual": visual}),
        }
    )

    assert holders(package(resolved._replace(recipe=changed), "spica"), "spica-teacher") == {
        "exec-distill": ["TEACHER_API_KEY"],
        "exec-self-distill": ["QVQ_KEY"],
    }


def test_the_cache_of_kfp_is_off_for_every_task(resolved: Resolved) -> None:
    tasks = package(resolved).spec["root"]["dag"]["tasks"].values()

    assert {str(task["cachingOptions"]) for task in tasks} == {"{}"}


def test_a_proxy_and_certificates_reach_every_step(resolved: Resolved) -> None:
    packed = package(with_secrets(resolved, proxy="our-proxy", ca_bundle="our-ca"), "spica")

    for label, config in settings(packed).items():
        assert "our-proxy" in {secret["secretName"] for secret in config["secretAsEnv"]}
        assert config["configMapAsVolume"] == [{"configMapName": "our-ca", "mountPath": "/etc/spica/ca"}]
        names = {item["name"]: item["value"] for item in containers(packed)[label]["env"]}
        assert names["AWS_CA_BUNDLE"] == "/etc/spica/ca/ca.crt"


def test_the_first_step_runs_as_the_launcher_calls_it(tmp_path: Path) -> None:
    packed = package(load_recipe("miniature", "cluster2"), "spica")
    container = containers(packed)["exec-plan"]
    names = packed.spec["components"]["comp-plan"]["outputDefinitions"]["parameters"]
    recipe = read_text(recipes_folder() / "miniature.yaml")
    given = {
        "inputs": {
            "parameterValues": {
                "recipe": recipe,
                "profile": "cluster2",
                "run": "r1",
                "arms": comparison(ARMS),
            }
        },
        "outputs": {
            "parameters": {name: {"outputFile": str(tmp_path / name)} for name in names},
            "outputFile": str(tmp_path / "output.json"),
        },
    }
    words = [word.replace("{{$}}", json.dumps(given)) for word in container["command"] + container["args"]]
    environment = {**os.environ, **{item["name"]: item["value"] for item in container["env"]}}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(words, check=True, capture_output=True, env=environment, cwd=tmp_path)

    made = json.loads((tmp_path / "output.json").read_text())["parameterValues"]
    place = json.loads(made["place"])
    assert (place["launcher"], place["store"], place["run"]) == ("kubernetes", "s3://spica/miniature", "r1")
    assert set(made) == set(names)


# Fit: what becomes of a package for a server.


def tiny(task: dict[str, Any] | None = None, config: dict[str, Any] | None = None) -> Package:
    """Two tasks, the second with `task` merged in; `config` is its platform document."""
    first: dict[str, Any] = {"componentRef": {"name": "comp-a"}}
    second: dict[str, Any] = {"componentRef": {"name": "comp-b"}, **(task or {})}
    spec = {
        "pipelineInfo": {"name": "tiny"},
        "root": {"dag": {"tasks": {"a": first, "b": second}}},
        "components": {
            "comp-a": {"executorLabel": "exec-a"},
            "comp-b": {"executorLabel": "exec-b"},
            "comp-dag": {"dag": {"tasks": {}}},
        },
    }
    executors = {"exec-b": config} if config else {}
    return Package(spec, {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}})


def constant(value: str) -> dict[str, Any]:
    return {"inputs": {"parameters": {"text": {"runtimeValue": {"constant": value}}}}}


def of_a_dag(packed: Package) -> Package:
    """The first task becomes a pipeline inside of the pipeline."""
    packed.spec["root"]["dag"]["tasks"]["a"]["componentRef"]["name"] = "comp-dag"
    return packed


@pytest.mark.parametrize("version", [(2, 0), (2, 1), (2, 5), (2, 17)])
def test_what_every_recipe_needs_fits_every_server(version: Version) -> None:
    for recipe in ("miniature", "virgo-7b", "virgo-72b"):
        packed = package(load_recipe(recipe, "cluster64"), "spica")
        fitted = settings(fit(packed, version))

        assert {field for config in fitted.values() for field in config} == {
            "nodeSelector",
            "secretAsEnv",
            *({"podMetadata"} if version >= (2, 1) else ()),
        }


def test_a_package_is_not_changed_by_the_server_that_it_is_fitted_to(resolved: Resolved) -> None:
    packed = package(resolved, "spica")
    before = copy.deepcopy(packed)

    fit(packed, (2, 0))

    assert packed == before


def test_the_newest_server_takes_a_package_as_it_is(resolved: Resolved) -> None:
    packed = package(with_secrets(resolved, ca_bundle="our-ca"), "spica")

    assert fit(packed, (2, 17)) == packed


@pytest.mark.parametrize(
    ("config", "place"),
    [
        ({"tolerations": [{"key": "gpu"}]}, "exec-b.tolerations"),
        ({"configMapAsVolume": [{"configMapName": "ca", "mountPath": "/ca"}]}, "exec-b.configMapAsVolume"),
        ({"emptyDirMounts": [{"volumeName": "x", "mountPath": "/x"}]}, "exec-b.emptyDirMounts"),
        ({"activeDeadlineSeconds": 5}, "exec-b.activeDeadlineSeconds"),
        ({"neverHeardOf": {}}, "exec-b.neverHeardOf"),
    ],
)
def test_a_field_that_a_driver_of_2_0_would_refuse_is_refused_first(
    config: dict[str, Any], place: str
) -> None:
    with pytest.raises(PrerequisiteError) as refused:
        fit(tiny(config=config), (2, 0))

    assert [fault.where for fault in refused.value.faults] == [place]
    assert "driver refuses it" in refused.value.faults[0].found


def test_a_field_of_all_steps_is_one_fault(resolved: Resolved) -> None:
    with pytest.raises(PrerequisiteError) as refused:
        fit(package(with_secrets(resolved, ca_bundle="our-ca"), "spica"), (2, 0))

    (fault,) = refused.value.faults
    assert fault.allowed == "KFP 2.1 or newer"


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ({"secretName": "s", "optional": False}, {"secretName": "s"}),
        ({"secretName": "s", "secretNameParameter": {}}, {"secretName": "s"}),
    ],
)
def test_what_a_newer_sdk_adds_to_a_secret_is_left_out(given: dict[str, Any], left: dict[str, Any]) -> None:
    fitted = fit(tiny(config={"secretAsEnv": [given]}), (2, 0))

    assert settings(fitted)["exec-b"]["secretAsEnv"] == [left]


@pytest.mark.parametrize(
    ("make", "since", "fate"),
    [
        (lambda: tiny({"retryPolicy": {"maxRetryCount": 2}}), (2, 14), "retries are ignored"),
        (lambda: tiny({"iteratorPolicy": {"parallelismLimit": 2}}), (2, 4), "all start at once"),
        (lambda: tiny(constant("{{$.pipeline_job_uuid}}")), (2, 5), "placeholders stay text"),
        (
            lambda: tiny({"inputs": {"parameters": {"s": {"taskFinalStatus": {"producerTask": "a"}}}}}),
            (2, 14),
            "the run is refused",
        ),
        (
            lambda: of_a_dag(
                tiny({"inputs": {"parameters": {"x": {"taskOutputParameter": {"producerTask": "a"}}}}})
            ),
            (2, 4),
            "are not found",
        ),
    ],
)
def test_what_a_server_would_ignore_is_refused_by_name_until_it_knows_it(
    make: Callable[[], Package], since: Version, fate: str
) -> None:
    with pytest.raises(PrerequisiteError) as refused:
        fit(make(), (2, 0))
    with pytest.raises(PrerequisiteError):
        fit(make(), (since[0], since[1] - 1))

    (fault,) = refused.value.faults
    assert fault.where.startswith("root.b.") and fate in fault.found
    assert fit(make(), since)


def test_an_exit_handler_is_refused_by_every_server_because_its_run_ends_green() -> None:
    with pytest.raises(PrerequisiteError, match="ends green although a task failed"):
        fit(tiny({"triggerPolicy": {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}}), (2, 17))


def test_the_fields_that_2_0_knows_are_the_four_of_its_proto() -> None:
    assert {field for field, since in PLATFORM_FIELDS.items() if since == (2, 0)} == {
        "secretAsEnv",
        "secretAsVolume",
        "nodeSelector",
        "pvcMount",
    }


def test_the_pipeline_of_a_text_comparison_has_no_visual_steps() -> None:
    tasks = graph(("base", "D_T"))["root"]["dag"]["tasks"]
    assert sorted(tasks) == [
        *("dataset", "distill", "evaluate", "evaluate-2", "plan", "report", "serve", "sft", "sources"),
        *("sources-2", "student"),
    ]
    made = {task["componentRef"]["name"] for task in tasks.values()}
    assert "comp-self-distill" not in made and "comp-sft-union" not in made


def test_the_pipeline_is_the_same_whoever_the_visual_teacher_is() -> None:
    assert graph(compared_arms("qvq")) == GRAPH


def test_what_an_arm_needs_and_nobody_compares_is_made_but_not_evaluated() -> None:
    assert needed_tasks(["base", "D_SD"]) == (
        *("student", "text", "visual", "held-out", "distill-d_t", "dataset-d_t", "sft-d_t", "distill-d_sd"),
        *("dataset-d_sd", "sft-d_sd", "evaluate-base", "evaluate-d_sd", "report", "serve"),
    )


def test_the_pipeline_has_no_more_tasks_than_a_server_before_2_1_starts() -> None:
    # There a step's driver asks for the other tasks of its run and is given the first 20, no more.
    assert len(GRAPH["root"]["dag"]["tasks"]) <= MAX_TASKS


@pytest.mark.parametrize(
    ("num_tasks", "version", "is_warned"),
    [(MAX_TASKS, (2, 0), False), (MAX_TASKS + 1, (2, 0), True), (MAX_TASKS + 1, (2, 1), False)],
)
def test_a_server_that_loses_the_last_task_is_told_of(
    num_tasks: int, version: Version, is_warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    packed = tiny()
    tasks = packed.spec["root"]["dag"]["tasks"]
    tasks |= {f"c{n}": {"componentRef": {"name": "comp-a"}} for n in range(num_tasks - len(tasks))}
    fit(packed, version)
    assert ("the last of these 22 tasks will not start" in caplog.text) is is_warned

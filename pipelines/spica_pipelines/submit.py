"""Start a run of a recipe on any Kubeflow Pipelines 2.x."""

import json
import logging
import secrets
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import kfp_server_api as kfp
import yaml

from spica.errors import Fault, RecipeError
from spica.recipe.load import Resolved, parse_recipe
from spica.recipe.schema import Kubernetes
from spica_pipelines.compile import Package, package
from spica_pipelines.fit import fit
from spica_pipelines.server import TIMEOUT_S, Server

logger = logging.getLogger(__name__)

# Kubernetes and Argo replace these in what a step is called with, and a recipe travels that way.
REPLACED_ON_THE_WAY = ("$$", "$(", "{{")


class Order(NamedTuple):
    """What is to be run, and how; nothing of it changes a result."""

    resolved: Resolved
    text: str
    """The recipe's YAML."""
    namespace: str
    """Where jobs and servers are made; of a server with several teams, also where the run belongs."""
    experiment: str
    """In which the server lists the run."""
    priority: str | None
    """WorkloadPriorityClass in place of the profile's."""
    no_cache: bool
    """Make every artifact anew, below a prefix of the store that belongs to this run."""


class Submitted(NamedTuple):
    """A run that was started."""

    run: str
    """The id under which Spica records it, and its name on the server."""
    id: str
    """The server's own."""
    version: str
    """Of the pipeline."""
    store: str
    """Where the run's artifacts lie."""


def submit(order: Order, server: Server) -> Submitted:
    """Upload the pipeline, unless the server has this version of it, and start a run.

    Raises:
        RecipeError: a profile of this machine, or a text that would not arrive as it is.
        PrerequisiteError: the server cannot be reached, refuses, or would not run the package as it is meant.
    """
    resolved = order.resolved
    require_kubernetes(resolved)
    health = server.health
    if not health.is_known:
        version = ".".join(map(str, health.version))
        logger.warning("%s does not say its version and is taken for KFP %s", server.endpoint, version)
    run = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{resolved.recipe.name}-{secrets.token_hex(2)}"
    store = f"{resolved.store.rstrip('/')}/runs/{run}" if order.no_cache else resolved.store
    text = changed(order, store)
    _require_plain(text, resolved.path)
    fitted = fit(package(resolved, order.namespace), health.version)
    team = order.namespace if health.multi_user else ""
    version = _version(server, fitted, team)
    # No service account: the server has one for steps (pipeline-runner, or the team's default-editor), and
    # manifests/README.md binds rights to that.
    body = kfp.V2beta1Run(
        display_name=run,
        description=f"{resolved.recipe.name} under {resolved.profile}; store {store}",
        experiment_id=_experiment(server, order.experiment, team),
        pipeline_version_reference=kfp.V2beta1PipelineVersionReference(
            pipeline_id=version.pipeline_id, pipeline_version_id=version.pipeline_version_id
        ),
        runtime_config=kfp.V2beta1RuntimeConfig(
            parameters={"recipe": text, "profile": resolved.profile, "run": run}
        ),
    )
    with server.faults(f"a run in namespace {team}" if team else "a run"):
        made = server.runs.run_service_create_run(body, _request_timeout=TIMEOUT_S)
    return Submitted(run, made.run_id, fitted.version, store)


def changed(order: Order, store: str) -> str:
    """The recipe's text with what the order changes in its profile; otherwise as it was written."""
    if not order.priority and not order.no_cache:
        return order.text
    document = yaml.safe_load(order.text)
    scale = document["profiles"][order.resolved.profile]
    if order.priority:
        for pods in ("training", "serving"):
            scale["kubernetes"][pods]["priority"] = order.priority
    scale["store"] = store
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)
    parse_recipe(text, order.resolved.path)
    return text


def require_kubernetes(resolved: Resolved) -> Kubernetes:
    """The part of a profile that says how its pods run.

    Raises:
        RecipeError: a profile of this machine.
    """
    if resolved.scale.launcher == "kubernetes" and resolved.scale.kubernetes:
        return resolved.scale.kubernetes
    others = [name for name, scale in resolved.recipe.profiles.items() if scale.launcher == "kubernetes"]
    raise RecipeError(
        Fault(
            f"{resolved.path} profiles.{resolved.profile}",
            "launcher local: this profile runs on one machine",
            ", ".join(others) or "a profile with launcher kubernetes",
            f"`spica run` starts it here; for a cluster: --profile {[*others, 'cluster64'][0]}",
        )
    )


def _require_plain(text: str, path: str) -> None:
    faults = [
        Fault(
            f"{path} line {number}",
            f"`{mark}`, which Kubernetes or Argo replaces on the way to a step",
            "a text without $$, $( and {{",
            "write it in another way; in YAML's double quotes \\x24 is a dollar, \\x7b a brace",
        )
        for number, line in enumerate(text.splitlines(), 1)
        for mark in REPLACED_ON_THE_WAY
        if mark in line
    ]
    if faults:
        raise RecipeError(*faults)


def _version(server: Server, fitted: Package, team: str) -> Any:
    """The pipeline version of this package, uploaded if it is not there."""
    pipeline = _pipeline(server, fitted.spec["pipelineInfo"]["name"], team)

    def find() -> Any:
        listed = server.pipelines.pipeline_service_list_pipeline_versions(
            pipeline.pipeline_id,
            page_size=1,
            filter=equals("display_name", fitted.version),
            _request_timeout=TIMEOUT_S,
        )
        return next(iter(listed.pipeline_versions or ()), None)

    def make() -> Any:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"{fitted.version}.yaml")
            path.write_text(fitted.text)
            return server.uploads.upload_pipeline_version(
                str(path), name=fitted.version, pipelineid=pipeline.pipeline_id, _request_timeout=TIMEOUT_S
            )

    with server.faults(f"pipeline version {fitted.version}"):
        return _found_or_made(find, make)


def _pipeline(server: Server, name: str, team: str) -> Any:
    def find() -> Any:
        listed = server.pipelines.pipeline_service_list_pipelines(
            namespace=team, page_size=1, filter=equals("display_name", name), _request_timeout=TIMEOUT_S
        )
        return next(iter(listed.pipelines or ()), None)

    def make() -> Any:
        body = kfp.V2beta1Pipeline(display_name=name, namespace=team or None)
        return server.pipelines.pipeline_service_create_pipeline(body, _request_timeout=TIMEOUT_S)

    with server.faults(f"pipeline {name}" + (f" in namespace {team}" if team else "")):
        return _found_or_made(find, make)


def _experiment(server: Server, name: str, team: str) -> str:
    def find() -> Any:
        listed = server.experiments.experiment_service_list_experiments(
            namespace=team, page_size=1, filter=equals("display_name", name), _request_timeout=TIMEOUT_S
        )
        return next(iter(listed.experiments or ()), None)

    def make() -> Any:
        body = kfp.V2beta1Experiment(display_name=name, namespace=team or None)
        return server.experiments.experiment_service_create_experiment(body, _request_timeout=TIMEOUT_S)

    with server.faults(f"experiment {name}" + (f" in namespace {team}" if team else "")):
        return str(_found_or_made(find, make).experiment_id)


def _found_or_made(find: Callable[[], Any], make: Callable[[], Any]) -> Any:
    if found := find():
        return found
    try:
        return make()
    except kfp.ApiException as error:
        # Somebody else made it between the two calls.
        if error.status == 409 and (found := find()):
            return found
        raise


def equals(key: str, value: str) -> str:
    """A filter of KFP's list calls."""
    return json.dumps({"predicates": [{"operation": "EQUALS", "key": key, "stringValue": value}]})

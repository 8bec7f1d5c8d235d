"""Make a package fit the Kubeflow Pipelines server that is to run it.

A server refuses unknown fields of the platform document only when a step's driver starts, and ignores other
things without a word. What it would ignore is removed here where nothing is lost, and refused by name where
something is. Found by running each feature on 2.0.5; the newer versions come from the history of
kubeflow/pipelines (kubernetes_platform, backend/src/v2).
"""

import copy
import logging
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from spica.errors import Fault, PrerequisiteError
from spica_pipelines.compile import Package

Version = tuple[int, int]
Places = Iterator[str]

logger = logging.getLogger(__name__)

# Field of the platform document -> first version that knows it.
PLATFORM_FIELDS: dict[str, Version] = {
    "secretAsEnv": (2, 0),
    "secretAsVolume": (2, 0),
    "nodeSelector": (2, 0),
    "pvcMount": (2, 0),
    "activeDeadlineSeconds": (2, 1),
    "configMapAsEnv": (2, 1),
    "configMapAsVolume": (2, 1),
    "fieldPathAsEnv": (2, 1),
    "imagePullPolicy": (2, 1),
    "imagePullSecret": (2, 1),
    "podMetadata": (2, 1),
    "tolerations": (2, 1),
    "genericEphemeralVolume": (2, 2),
    "emptyDirMounts": (2, 3),
    "nodeAffinity": (2, 14),
}
# Fields of these fields that came later; everything else in them is as old as they are.
INNER_FIELDS: dict[str, Version] = {
    "optional": (2, 1),
    "secretNameParameter": (2, 5),
    "configMapNameParameter": (2, 5),
    "pvcNameParameter": (2, 5),
}
HARMLESS = {
    "podMetadata": "labels of the steps' pods: select them by pipeline/runid instead",
    "optional": "every secret that is named must exist",
    "secretNameParameter": "the name stands in secretName, too",
    "configMapNameParameter": "the name stands in configMapName, too",
    "pvcNameParameter": "the name stands in constant, too",
}


class Rule(NamedTuple):
    """Something in a pipeline that servers before `since` do not do."""

    since: Version
    fate: str
    places: Callable[[str, dict[str, Any]], Places]
    """(name of a DAG, its tasks) -> where it occurs."""


def _retries(dag: str, tasks: dict[str, Any]) -> Places:
    return (f"{dag}.{name}.retryPolicy" for name, task in tasks.items() if "retryPolicy" in task)


def _parallelism(dag: str, tasks: dict[str, Any]) -> Places:
    for name, task in tasks.items():
        if task.get("iteratorPolicy", {}).get("parallelismLimit"):
            yield f"{dag}.{name}.iteratorPolicy.parallelismLimit"


def _placeholders(dag: str, tasks: dict[str, Any]) -> Places:
    for name, task in tasks.items():
        for key, value in task.get("inputs", {}).get("parameters", {}).items():
            if "{{$." in str(value.get("runtimeValue", {}).get("constant", "")):
                yield f"{dag}.{name}.{key}"


def _final_status(dag: str, tasks: dict[str, Any]) -> Places:
    for name, task in tasks.items():
        for key, value in task.get("inputs", {}).get("parameters", {}).items():
            if "taskFinalStatus" in value:
                yield f"{dag}.{name}.{key}"


def _exit_handlers(dag: str, tasks: dict[str, Any]) -> Places:
    for name, task in tasks.items():
        if task.get("triggerPolicy", {}).get("strategy") == "ALL_UPSTREAM_TASKS_COMPLETED":
            yield f"{dag}.{name}.triggerPolicy"


NEVER: Version = (99, 0)
RULES = (
    Rule((2, 14), "retries are ignored", _retries),
    Rule((2, 4), "the limit is ignored, all start at once", _parallelism),
    Rule((2, 5), "placeholders stay text", _placeholders),
    Rule((2, 14), "the run is refused", _final_status),
    Rule(NEVER, "the run ends green although a task failed", _exit_handlers),
)


MAX_TASKS = 21
"""With more, a step before KFP 2.1 does not find its producer (kubeflow/pipelines 9878, mended by 10396)."""


def fit(package: Package, version: Version) -> Package:
    """A package that a server of this version runs as it is meant.

    Args:
        package: as compiled.
        version: of the server, such as (2, 0).

    Raises:
        PrerequisiteError: the server would ignore or reject late what the package needs; names each thing.
    """
    fitted = Package(package.spec, copy.deepcopy(package.platform))
    faults = [*_refused(package.spec, version), *_without_unknown_fields(fitted.platform, version)]
    if faults:
        raise PrerequisiteError(*faults)
    num_tasks = len(package.spec["root"]["dag"]["tasks"])
    if version < (2, 1) and num_tasks > MAX_TASKS:
        logger.warning(
            "this server is older than KFP 2.1, whose steps see no more than 20 others: "
            "the last of these %d tasks will not start; all before it run",
            num_tasks,
        )
    return fitted


def _refused(spec: dict[str, Any], version: Version) -> Iterator[Fault]:
    dags = {"root": spec["root"], **spec["components"]}
    for dag, component in dags.items():
        if "dag" not in component:
            continue
        tasks = component["dag"]["tasks"]
        for rule in RULES:
            if version < rule.since:
                yield from (
                    _fault(place, version, rule.since, rule.fate) for place in rule.places(dag, tasks)
                )
        if version < (2, 4):
            fate = "the consumer's step fails: outputs of a pipeline inside a pipeline are not found"
            for place in _outputs_of_dags(dag, tasks, spec["components"]):
                yield _fault(place, version, (2, 4), fate)


def _outputs_of_dags(dag: str, tasks: dict[str, Any], components: dict[str, Any]) -> Places:
    inner = {name for name, task in tasks.items() if "dag" in components[task["componentRef"]["name"]]}
    for name, task in tasks.items():
        inputs = task.get("inputs", {})
        for key, value in [*inputs.get("parameters", {}).items(), *inputs.get("artifacts", {}).items()]:
            source = value.get("taskOutputParameter") or value.get("taskOutputArtifact") or {}
            if source.get("producerTask") in inner:
                yield f"{dag}.{name}.{key}"


def _without_unknown_fields(platform: dict[str, Any], version: Version) -> Iterator[Fault]:
    executors = platform["platforms"].get("kubernetes", {}).get("deploymentSpec", {}).get("executors", {})
    removed: set[str] = set()
    refused: dict[str, tuple[str, Version]] = {}
    for label, config in executors.items():
        for field in list(config):
            since = PLATFORM_FIELDS.get(field, NEVER)
            if version >= since:
                for entry in config[field] if isinstance(config[field], list) else [config[field]]:
                    removed |= _without_inner_fields(entry, version)
            elif field in HARMLESS:
                removed.add(field)
                del config[field]
            else:
                refused.setdefault(field, (f"{label}.{field}", since))
    for field in sorted(removed):
        logger.info("KFP %s does not know %s, left out: %s", _text(version), field, HARMLESS[field])
    for place, since in refused.values():
        yield _fault(place, version, since, "each step's driver refuses it, minutes after the run began")


def _without_inner_fields(entry: Any, version: Version) -> set[str]:
    if not isinstance(entry, dict):
        return set()
    late = {field for field, since in INNER_FIELDS.items() if field in entry and version < since}
    for field in late:
        del entry[field]
    return late


def _fault(place: str, version: Version, since: Version, fate: str) -> Fault:
    if since == NEVER:
        return Fault(
            place, f"KFP {_text(version)}: {fate}", "a pipeline without it", "take it out of the pipeline"
        )
    advice = "upgrade the server, or take it out of the profile (secrets.ca_bundle is what mounts ConfigMaps)"
    return Fault(place, f"KFP {_text(version)}: {fate}", f"KFP {_text(since)} or newer", advice)


def _text(version: Version) -> str:
    return ".".join(map(str, version))

"""`spica doctor --cluster`: what a profile needs of a cluster, looked at before anything is spent."""

from collections.abc import Iterator
from functools import partial

from spica.cluster.access import LEASES, RIGHTS, forbidden, rights_finding
from spica.cluster.api import Cluster
from spica.cluster.capacity import Demand, demands, examine_images, examine_nodes, examine_queue
from spica.cluster.credentials import examine_named, examine_pull_secrets, named
from spica.cluster.finding import Finding, State
from spica.cluster.operators import (
    OPERATORS,
    examine_init_container,
    examine_kueue,
    examine_operator,
    examine_pod_security,
    examine_storage_initializer,
)
from spica.cluster.quotas import examine_quotas
from spica.cluster.steps import STANDALONE, Check, Steps, of_team, step_checks
from spica.errors import PrerequisiteError, SpicaError
from spica.images import image
from spica.recipe.keys import KeyVariables, key_variables
from spica.recipe.load import Resolved
from spica.recipe.schema import Kubernetes

PATIENCE_S = 10.0
INSTALL = "apply the manifests (manifests/README.md, Install)"
PODS = ("spica-train", "spica-serve", "spica-reaper")
"""Accounts of the team's pods."""


def examine(resolved: Resolved, steps: Steps | None = None) -> Iterator[Finding]:
    """Look at everything a profile with launcher kubernetes needs; faults do not end it.

    Args:
        resolved: the recipe under the profile.
        steps: where the steps of pipelines run; looked for when None.

    Raises:
        PrerequisiteError: no cluster is configured.
    """
    kubernetes = resolved.scale.kubernetes
    if kubernetes is None:
        name = f"{resolved.recipe.name}, profile {resolved.profile}"
        yield Finding(name, State.FAULT, "it runs without a cluster", "name a profile that has `kubernetes`")
        return
    cluster = Cluster.connect()
    cluster.patience_s = PATIENCE_S
    rights = {**RIGHTS, **LEASES}
    try:
        missing = forbidden(cluster, rights)
    except SpicaError as error:
        yield Finding("API server", State.FAULT, error.faults[0].found, error.faults[0].next)
        return
    yield Finding("API server", State.OK, f"it answers; namespace {cluster.namespace}")
    yield rights_finding("rights", missing, rights, "spica-user", cluster.namespace)
    recipe, wanted = resolved.recipe, demands(resolved.scale, kubernetes)
    keys = key_variables(recipe.models, recipe.distill, recipe.evaluate)
    for name, check in _checks(cluster, kubernetes, keys, wanted):
        yield from _careful(name, check)
    for name, check in step_checks(cluster, steps or _steps(cluster), kubernetes, keys):
        yield from _careful(name, check)


def _checks(
    cluster: Cluster, kubernetes: Kubernetes, keys: KeyVariables, wanted: tuple[Demand, ...]
) -> Iterator[tuple[str, Check]]:
    for kind in OPERATORS:
        yield kind, partial(examine_operator, cluster, kind)
    yield "Kueue", partial(examine_kueue, cluster)
    yield "init container of workers", partial(examine_init_container, cluster)
    proxy = kubernetes.secrets.proxy
    yield "storage initializer", partial(examine_storage_initializer, cluster, proxy)
    for kind, name in _parts(kubernetes):
        yield f"{kind} {name}", partial(_part, cluster, kind, name)
    yield "reaper", partial(_reaper, cluster)
    yield "Pod Security", partial(examine_pod_security, cluster, kubernetes)
    for item in named(kubernetes, keys):
        yield str(item), partial(examine_named, cluster, item)
    for account in PODS:
        check = partial(examine_pull_secrets, cluster, account, cluster.namespace)
        yield f"registry of {cluster.namespace}:{account}", check
    for demand in wanted:
        yield f"queue of {demand.what}", partial(examine_queue, cluster, demand)
        yield f"nodes of {demand.what}", partial(examine_nodes, cluster, demand)
    yield "quotas", partial(examine_quotas, cluster, wanted)
    references = {name: image(name) for name in ("control", "train", "serve")}
    yield "images", partial(examine_images, cluster, references)


def _careful(name: str, check: Check) -> Iterator[Finding]:
    """A refusal to show something is no fault of the cluster, but must be said."""
    try:
        yield from check()
    except SpicaError as error:
        if getattr(error.__cause__, "status", None) == 403:
            advice = "run this again as somebody who may, such as the platform team"
            yield Finding(name, State.UNSEEN, "this account may not look", advice)
        else:
            yield Finding(name, State.FAULT, error.faults[0].found, error.faults[0].next)


def _steps(cluster: Cluster) -> Steps:
    """A team's namespace with the account of Kubeflow's profiles has a KFP of several teams."""
    team = of_team(cluster.namespace)
    try:
        return team if cluster.get("ServiceAccount", team.account) else STANDALONE
    except SpicaError:
        return STANDALONE


def _parts(kubernetes: Kubernetes) -> list[tuple[str, str]]:
    priorities = sorted({kubernetes.training.priority, kubernetes.serving.priority})
    return [
        ("ServiceAccount", "spica-train"),
        ("ServiceAccount", "spica-serve"),
        ("PodTemplate", "spica-train"),
        ("ServingRuntime", "spica-vllm"),
        *(("WorkloadPriorityClass", name) for name in priorities),
    ]


def _part(cluster: Cluster, kind: str, name: str) -> Iterator[Finding]:
    what = f"{kind} {name}"
    if cluster.get(kind, name) is None:
        yield Finding(what, State.FAULT, "missing", INSTALL)
    else:
        yield Finding(what, State.OK, "there")


def _reaper(cluster: Cluster) -> Iterator[Finding]:
    found = cluster.get("Deployment", "spica-reaper")
    if found is None:
        yield Finding("reaper", State.FAULT, "no Deployment spica-reaper", INSTALL)
    elif not (found.get("status") or {}).get("availableReplicas"):
        advice = f"kubectl describe pods -n {cluster.namespace} -l app.kubernetes.io/component=reaper"
        yield Finding("reaper", State.FAULT, "Deployment spica-reaper has no available pod", advice)
    else:
        yield Finding("reaper", State.OK, "it runs")


def examine_store(uri: str) -> Iterator[Finding]:
    """A write, a conditional write, a read and a delete, from this machine with its AWS environment."""
    from spica.cluster.storage_probe import probe

    if not uri.startswith("s3://"):
        yield Finding(f"store {uri}", State.OK, "a folder; nothing to try")
        return
    try:
        yield Finding(f"store {uri}", State.OK, probe(uri))
    except PrerequisiteError as error:
        yield Finding(f"store {uri}", State.FAULT, error.faults[0].found, error.faults[0].next)

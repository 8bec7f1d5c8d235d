"""`spica doctor`: the store, the cluster, and what Kubeflow Pipelines says of itself."""

from collections.abc import Iterator
from itertools import chain

from spica.cluster.api import Cluster
from spica.cluster.doctor import examine, examine_store
from spica.cluster.finding import Finding, State
from spica.cluster.steps import STANDALONE, Steps, of_team
from spica.errors import SpicaError
from spica.recipe.load import Resolved
from spica_pipelines.compile import package
from spica_pipelines.fit import fit
from spica_pipelines.server import TIMEOUT_S, Server


def findings(
    resolved: Resolved, cluster: bool, endpoint: str = "", steps: str = "", token_env: str | None = None
) -> Iterator[Finding]:
    """Everything that a profile needs.

    Args:
        resolved: the recipe under the profile.
        cluster: look at more than the store.
        endpoint: URL of KFP; not asked when empty.
        steps: NAMESPACE:ACCOUNT of the steps of pipelines; found out when empty.
        token_env: name of the variable with a token for KFP.

    Raises:
        RecipeError: `endpoint` or `steps` is written in another way.
        PrerequisiteError: no cluster is configured.
    """
    if not cluster:
        return examine_store(resolved.store)
    where = Steps.parse(steps) if steps else None
    asked: Iterator[Finding] = iter(())
    if endpoint:
        server, namespace = Server(endpoint, token_env), Cluster.connect().namespace
        asked, where = examine_server(server, resolved, namespace), where or steps_of(server, namespace)
    return chain(examine(resolved, where), asked, examine_store(resolved.store))


def examine_server(server: Server, resolved: Resolved, namespace: str) -> Iterator[Finding]:
    """Whether the server answers this caller, and would run the recipe's package as it is meant."""
    try:
        health = server.health
        team = namespace if health.multi_user else ""
        with server.faults(f"runs in namespace {team}" if team else "runs"):
            server.runs.run_service_list_runs(namespace=team, page_size=1, _request_timeout=TIMEOUT_S)
    except SpicaError as error:
        yield Finding("KFP", State.FAULT, error.faults[0].found, error.faults[0].next)
        return
    version = ".".join(map(str, health.version))
    where = f"steps run in {namespace}" if team else "steps of all teams run in its own namespace"
    if health.is_known:
        yield Finding("KFP", State.OK, f"version {version}; {where}")
    else:
        advice = "set TAG_NAME on its API server, as KFP's own image does"
        yield Finding("KFP", State.UNSEEN, f"of unknown version, taken for {version}; {where}", advice)
    try:
        fit(package(resolved, namespace), health.version)
        yield Finding("package", State.OK, f"KFP {version} runs it as it is meant")
    except SpicaError as error:
        for fault in error.faults:
            yield Finding("package", State.FAULT, f"{fault.where}: {fault.found}", fault.next)


def steps_of(server: Server, namespace: str) -> Steps | None:
    """Where the server runs a team's steps, unless it is configured otherwise; None if it does not answer."""
    try:
        return of_team(namespace) if server.health.multi_user else STANDALONE
    except SpicaError:
        return None

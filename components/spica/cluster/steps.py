"""Where the steps of pipelines run, and whether they find there what they need."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple, Self

from spica.cluster.access import OWNER, RIGHTS, WORKFLOWS, forbidden, rights_finding
from spica.cluster.api import Cluster
from spica.cluster.capacity import examine_pool
from spica.cluster.credentials import examine_named, examine_pull_secrets, named
from spica.cluster.finding import Finding, State
from spica.errors import Fault, RecipeError
from spica.recipe.keys import KeyVariables
from spica.recipe.schema import Kubernetes

Check = Callable[[], Iterator[Finding]]
REAPER = "spica-reaper"


class Steps(NamedTuple):
    """Namespace and service account of the steps."""

    namespace: str
    account: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read NAMESPACE:ACCOUNT.

        Raises:
            RecipeError: it is written in another way.
        """
        namespace, _, account = text.partition(":")
        if not namespace or not account or ":" in account:
            raise RecipeError(Fault("--steps", repr(text), "NAMESPACE:ACCOUNT", f"such as {STANDALONE}"))
        return cls(namespace, account)

    def __str__(self) -> str:
        return f"{self.namespace}:{self.account}"


STANDALONE = Steps("kubeflow", "pipeline-runner")
"""Of a KFP that runs the pipelines of all teams in its own namespace."""


def of_team(namespace: str) -> Steps:
    """Of a KFP that runs them in the team's namespace (Kubeflow's profiles)."""
    return Steps(namespace, "default-editor")


def step_checks(
    cluster: Cluster, steps: Steps, kubernetes: Kubernetes, keys: KeyVariables
) -> Iterator[tuple[str, Check]]:
    """What steps need, by name of the check."""
    yield f"rights of {steps}", partial(_rights, cluster, steps)
    yield "reaper's rights", partial(_reaper, cluster, steps)
    if steps.namespace != cluster.namespace:
        for wanted in named(kubernetes, keys):
            check = partial(examine_named, cluster, wanted, steps.namespace)
            yield f"{wanted.kind} {steps.namespace}/{wanted.name}", check
    registry = partial(examine_pull_secrets, cluster, steps.account, steps.namespace, like="spica-train")
    yield f"registry of {steps}", registry
    pool = kubernetes.step_node_pool
    yield "nodes of steps", partial(examine_pool, cluster, "nodes of steps", pool)


def _rights(cluster: Cluster, steps: Steps) -> Iterator[Finding]:
    what = f"rights of {steps}"
    if cluster.get("ServiceAccount", steps.account, steps.namespace) is None:
        advice = "name that of the steps of your KFP (--steps NAMESPACE:ACCOUNT), or KFP itself (--endpoint)"
        yield Finding(what, State.UNSEEN, "no such account", advice)
        return
    missing = forbidden(cluster, RIGHTS, str(steps))
    yield rights_finding(what, missing, RIGHTS, "spica-pipeline", cluster.namespace)
    if missing := forbidden(cluster, OWNER, str(steps), steps.namespace):
        yield rights_finding(f"{what} at home", missing, OWNER, "spica-steps", steps.namespace)


def _reaper(cluster: Cluster, steps: Steps) -> Iterator[Finding]:
    """Runs whose Workflow it may not read are never ended."""
    account = f"{cluster.namespace}:{REAPER}"
    missing = forbidden(cluster, WORKFLOWS, account, steps.namespace)
    yield rights_finding("reaper's rights", missing, WORKFLOWS, REAPER, steps.namespace)

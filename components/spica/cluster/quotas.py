"""Whether the ResourceQuotas of the team's namespace leave room for what a profile asks for."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from kubernetes.utils.quantity import parse_quantity

from spica.cluster.api import Cluster
from spica.cluster.capacity import Demand, amount
from spica.cluster.finding import Finding, State

JOBS = {"training": "pytorchjobs.kubeflow.org", "serving": "inferenceservices.serving.kserve.io"}
"""What is made for a demand, next to its pods."""


def examine_quotas(cluster: Cluster, demands: tuple[Demand, ...]) -> Iterator[Finding]:
    """One line for each quota: it must leave what one training, and the servers of one model, ask for.

    A quota with scopes holds for some pods only, and is left to a person.
    """
    quotas = cluster.list("ResourceQuota")
    for quota in quotas:
        name, spec, status = quota["metadata"]["name"], quota.get("spec") or {}, quota.get("status") or {}
        check = f"ResourceQuota {name}"
        hard, used = _amounts(spec.get("hard")), _amounts(status.get("used"))
        short = [line for demand in demands for line in _short(demand, hard, used)]
        if not short:
            yield Finding(check, State.OK, "room for one training and the servers of one model")
        elif spec.get("scopes") or spec.get("scopeSelector"):
            advice = f"see whether it holds for these pods: kubectl describe resourcequota {name}"
            yield Finding(check, State.UNSEEN, ", ".join(short), advice)
        else:
            advice = f"raise it, or wait for others to end: kubectl describe resourcequota {name}"
            text = ", ".join(short)
            yield Finding(check, State.FAULT, text, f"{advice} -n {cluster.namespace}")
    if not quotas:
        yield Finding("quotas", State.OK, f"no ResourceQuota in namespace {cluster.namespace}")


def _amounts(values: Mapping[str, Any] | None) -> dict[str, Decimal]:
    return {name: parse_quantity(value) for name, value in (values or {}).items()}


def _asked(demand: Demand) -> dict[str, Decimal]:
    """Demands under the names that a quota has for them."""
    pods, resources = Decimal(demand.num_pods), demand.resources.items()
    asked = {"pods": pods, "count/pods": pods, f"count/{JOBS[demand.what]}": Decimal(1)}
    totals = {resource: each * demand.num_pods for resource, each in resources}
    requests = {f"requests.{resource}": total for resource, total in totals.items()}
    return {**asked, **requests, "cpu": totals["cpu"], "memory": totals["memory"]}


def _short(demand: Demand, hard: Mapping[str, Decimal], used: Mapping[str, Decimal]) -> Iterator[str]:
    for name, needed in _asked(demand).items():
        if name in hard and (left := hard[name] - used.get(name, Decimal(0))) < needed:
            resource = name.removeprefix("requests.")
            texts = (amount(resource, value) for value in (left, hard[name], needed))
            yield "{}: {} of {} left, {} needed by {}".format(name, *texts, demand.what)

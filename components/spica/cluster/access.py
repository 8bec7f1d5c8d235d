"""What runs ask of the API, and what an account may not do of it."""

import copy
from collections.abc import Mapping

from spica.cluster.api import VERSIONS, Cluster
from spica.cluster.finding import Finding, State

Rights = Mapping[tuple[str, str], tuple[str, ...]]
RIGHTS: Rights = {
    ("kubeflow.org", "pytorchjobs"): ("create", "get", "watch", "patch", "delete"),
    ("serving.kserve.io", "inferenceservices"): ("create", "get", "delete"),
    ("kueue.x-k8s.io", "workloads"): ("list",),
    ("kueue.x-k8s.io", "localqueues"): ("get",),
    ("", "pods"): ("get", "list"),
    ("", "events"): ("list",),
    ("", "services"): ("get",),
    ("", "pods/log"): ("get",),
    ("", "podtemplates"): ("get",),
}
"""Of a step of a pipeline: (group, resource) -> verbs; those of Role spica-pipeline in manifests/."""
LEASES: Rights = {("coordination.k8s.io", "leases"): ("create", "patch", "delete")}
"""A run that no pipeline owns needs these, too; Role spica-user has all."""
WORKFLOWS: Rights = {("argoproj.io", "workflows"): ("get",)}
"""How the reaper learns whether a run still lives, in the namespace of the run."""
OWNER: Rights = {("", "pods"): ("get",)}
"""How a step learns to which run it belongs, in its own namespace."""


def forbidden(cluster: Cluster, rights: Rights, account: str = "", namespace: str = "") -> list[str]:
    """What the caller, or an account NAMESPACE:NAME, may not do in a namespace; the cluster's when empty."""
    here = copy.copy(cluster)
    here.namespace = namespace or cluster.namespace
    kind = "LocalSubjectAccessReview" if account else "SelfSubjectAccessReview"
    subject = {"user": f"system:serviceaccount:{account}"} if account else {}
    metadata = {"name": ""} | ({"namespace": here.namespace} if account else {})
    found = []
    for (group, resource), verbs in rights.items():
        name, _, subresource = resource.partition("/")
        for verb in verbs:
            asked = {"namespace": here.namespace, "verb": verb, "group": group}
            attributes = asked | {"resource": name, "subresource": subresource}
            spec = subject | {"resourceAttributes": attributes}
            body = {"apiVersion": VERSIONS[kind], "kind": kind, "metadata": metadata, "spec": spec}
            if not here.create(body)["status"]["allowed"]:
                found.append(f"{verb} {resource}" + (f".{group}" if group else ""))
    return found


def rights_finding(who: str, missing: list[str], rights: Rights, role: str, namespace: str) -> Finding:
    """All that is missing in one line."""
    if missing:
        advice = f"bind Role {role} of namespace {namespace} to it (manifests/README.md)"
        return Finding(who, State.FAULT, f"forbidden: {', '.join(missing)}", advice)
    return Finding(who, State.OK, f"all {sum(map(len, rights.values()))} that it needs")

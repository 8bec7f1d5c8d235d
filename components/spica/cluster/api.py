"""The Kubernetes API as Spica uses it: objects as dicts, passing faults retried, lasting ones named."""

import json
import logging
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeVar

import urllib3
from kubernetes import client, config, dynamic
from kubernetes.client.rest import ApiException
from kubernetes.config.config_exception import ConfigException
from kubernetes.dynamic.exceptions import ResourceNotFoundError

from spica.errors import ConflictError, Fault, PrerequisiteError, SpicaError, StageError

Object = dict[str, Any]
Objects = list[Object]
Result = TypeVar("Result")
VERSIONS = {
    "ConfigMap": "v1",
    "Event": "v1",
    "Namespace": "v1",
    "Node": "v1",
    "Pod": "v1",
    "PodTemplate": "v1",
    "Secret": "v1",
    "Service": "v1",
    "ServiceAccount": "v1",
    "Deployment": "apps/v1",
    "Lease": "coordination.k8s.io/v1",
    "CustomResourceDefinition": "apiextensions.k8s.io/v1",
    "SelfSubjectAccessReview": "authorization.k8s.io/v1",
    "PyTorchJob": "kubeflow.org/v1",
    "InferenceService": "serving.kserve.io/v1beta1",
    "ServingRuntime": "serving.kserve.io/v1alpha1",
    "ClusterStorageContainer": "serving.kserve.io/v1alpha1",
    "Workload": "kueue.x-k8s.io/v1beta1",
    "LocalQueue": "kueue.x-k8s.io/v1beta1",
    "ClusterQueue": "kueue.x-k8s.io/v1beta1",
    "ResourceFlavor": "kueue.x-k8s.io/v1beta1",
    "WorkloadPriorityClass": "kueue.x-k8s.io/v1beta1",
    "Workflow": "argoproj.io/v1alpha1",
}
"""API version in which Spica reads and writes each kind."""
TRANSIENT = (429, 500, 502, 503, 504)
GIVE_UP_S = 180.0
"""An API server that restarts is back within a minute; longer silence is for a person to look at."""
MAX_PAUSE_S = 5.0
TIMEOUTS_S = (5.0, 60.0)
"""To connect, to answer."""
_POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")

logger = logging.getLogger(__name__)


class Cluster:
    """One namespace of one cluster."""

    def __init__(self, api: client.ApiClient, namespace: str, own_namespace: str, in_pod: bool) -> None:
        """See `connect`."""
        self.namespace = namespace
        """Where things are made."""
        self.own_namespace = own_namespace
        """Where this process's own pod runs; that of the context outside of the cluster."""
        self.in_pod = in_pod
        """Whether this process runs in a pod of the cluster: service names resolve then."""
        self.patience_s = GIVE_UP_S
        """How long a server that does not answer is asked again."""
        self._api = api

    @classmethod
    def connect(cls) -> Self:
        """The cluster of this pod, or of $KUBECONFIG; namespace $SPICA_NAMESPACE, or the pod's or context's.

        Raises:
            PrerequisiteError: neither is there.
        """
        settings = client.Configuration()
        in_pod = bool(os.environ.get("KUBERNETES_SERVICE_HOST")) and _POD_NAMESPACE.exists()
        try:
            if in_pod:
                config.load_incluster_config(client_configuration=settings)
                found = _POD_NAMESPACE.read_text(encoding="utf-8").strip()
            else:
                config.load_kube_config(client_configuration=settings)
                found = config.list_kube_config_contexts()[1]["context"].get("namespace", "default")
        except (ConfigException, OSError) as error:
            advice = "set KUBECONFIG, or make a cluster on this machine: `make cluster`"
            raise PrerequisiteError(
                Fault("cluster", f"no configuration ({error})", "a cluster to talk to", advice)
            ) from error
        settings.retries = False
        return cls(client.ApiClient(settings), os.environ.get("SPICA_NAMESPACE") or found, found, in_pod)

    @cached_property
    def _dynamic(self) -> dynamic.DynamicClient:
        return _patiently(lambda: dynamic.DynamicClient(self._api), "cluster", self.patience_s)

    def get(self, kind: str, name: str, namespace: str | None = None) -> Object | None:
        """The object, or None."""
        return self._ask(kind, name, lambda of, here: of.get(name=name, namespace=here), namespace)

    def list(
        self, kind: str, labels: Mapping[str, str] | None = None, namespace: str | None = None
    ) -> Objects:
        """Objects with all of `labels`; of every namespace when `namespace` is "*"."""
        selector = ",".join(f"{key}={value}" for key, value in (labels or {}).items())
        found = self._ask(
            kind, selector, lambda of, here: of.get(label_selector=selector, namespace=here), namespace
        )
        return [*(found or {}).get("items", ())]

    def create(self, body: Object) -> Object:
        """Make an object; one that exists already is a ConflictError.

        The caller compares: an answer lost on the way makes the second try meet the object of the first.
        """
        kind, name, strict = body["kind"], body["metadata"]["name"], [("fieldValidation", "Strict")]
        made = self._ask(
            kind, name, lambda of, here: of.create(body=body, namespace=here, query_params=strict)
        )
        if made is None:
            raise self._missing(kind, name)
        return made

    def patch(self, kind: str, name: str, body: Object) -> Object | None:
        """Merge `body` into an object; None when it is gone."""
        merge = "application/merge-patch+json"
        return self._ask(
            kind,
            name,
            lambda of, here: of.patch(name=name, namespace=here, body=body, content_type=merge),
        )

    def delete(self, kind: str, name: str, namespace: str | None = None) -> None:
        """Delete an object and, before it, what it owns; one that is gone already is no error."""
        options = {"propagationPolicy": "Foreground"}
        self._ask(kind, name, lambda of, here: of.delete(name=name, namespace=here, body=options), namespace)

    def watch(self, kind: str, name: str, version: str, timeout_s: float) -> Iterator[Object | None]:
        """Yield an object's states after `version`; None when it is deleted; ends after `timeout_s` or a cut.

        A resource version that is too old ends it at once: read the object again, and watch from there.
        """
        try:
            stream = self._resource(kind).watch(
                name=name, namespace=self.namespace, resource_version=version, timeout=int(timeout_s)
            )
            for event in stream:
                yield None if event["type"] == "DELETED" else event["raw_object"]
        except (ApiException, dynamic.exceptions.DynamicApiError, urllib3.exceptions.HTTPError, OSError) as e:
            logger.debug("watch of %s %s was cut: %s", kind, name, e)

    def logs(self, pod: str, container: str, tail: int = 30, previous: bool = False) -> str:
        """Last lines of a container; empty where there are none (yet, or any more)."""
        try:
            text: str = client.CoreV1Api(self._api).read_namespaced_pod_log(
                pod, self.namespace, container=container, tail_lines=tail, previous=previous,
                _request_timeout=TIMEOUTS_S,
            )  # fmt: skip
            return text
        except (ApiException, urllib3.exceptions.HTTPError, OSError):
            return ""

    def follow(self, pod: str, container: str, since_s: int | None) -> Iterator[str]:
        """Lines of a container as they are written; ends with it, or when the connection is cut."""
        try:
            answer = client.CoreV1Api(self._api).read_namespaced_pod_log(
                pod, self.namespace, container=container, follow=True, since_seconds=since_s,
                _preload_content=False, _request_timeout=(TIMEOUTS_S[0], None),
            )  # fmt: skip
            for line in answer:
                yield line.decode(errors="replace").rstrip("\n")
        except (ApiException, urllib3.exceptions.HTTPError, OSError):
            return

    def events(self, name: str) -> Objects:
        """What the cluster says about an object, oldest first."""
        field = f"involvedObject.name={name}"
        found = self._ask("Event", name, lambda of, here: of.get(field_selector=field, namespace=here))
        return sorted(
            (found or {}).get("items", ()),
            key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "",
        )

    def _ask(
        self,
        kind: str,
        name: str,
        request: Callable[[Any, str | None], Any],
        namespace: str | None = None,
    ) -> Object | None:
        """One request, repeated while the fault may pass; None for a name that is not there."""
        where = f"{kind} {self.namespace}/{name}"
        here = None if namespace == "*" else namespace or self.namespace
        try:
            answer = _patiently(lambda: request(self._resource(kind), here), where, self.patience_s)
        except ApiException as error:
            if error.status == 404:
                return None
            raise fault_of(error, where) from error
        found: Object = answer.to_dict()
        return found

    def _resource(self, kind: str) -> Any:
        try:
            return self._dynamic.resources.get(api_version=VERSIONS[kind], kind=kind)
        except ResourceNotFoundError as error:
            raise self._missing(kind, "") from error

    def _missing(self, kind: str, name: str) -> SpicaError:
        found = f"the cluster has no {VERSIONS[kind]} {kind}"
        advice = "install its operator (manifests/README.md), then `spica doctor --cluster`"
        return PrerequisiteError(Fault(f"cluster {name}".strip(), found, "the resource installed", advice))


def fault_of(error: ApiException, where: str) -> SpicaError:
    """What a refusal of the API server means to a reader."""
    reason = _message(error)
    if error.status == 401:
        advice = "log in again (the token has expired or is not of this cluster)"
        return PrerequisiteError(Fault(where, f"401: {reason}", "a valid token", advice))
    if error.status == 403:
        advice = "ask the platform team for this right; `spica doctor --cluster` lists all that is needed"
        return PrerequisiteError(Fault(where, f"403: {reason}", "the right to do that", advice))
    if error.status == 409:
        return ConflictError(
            Fault(where, f"409: {reason}", "no object of that name", "look at the other one")
        )
    return StageError(
        Fault(
            where,
            f"{error.status}: {reason}",
            "an object that the cluster admits",
            "correct the recipe's profile",
        )
    )


def _message(error: ApiException) -> str:
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return str(error.reason)


def _patiently(request: Callable[[], Result], where: str, patience_s: float) -> Result:
    """Repeat a request while its fault may pass.

    Raises:
        ApiException: the server refused.
        PrerequisiteError: it did not answer for `patience_s`.
    """
    started = time.monotonic()
    for attempt in range(1000):
        try:
            return request()
        except (ApiException, urllib3.exceptions.HTTPError, OSError) as error:
            if isinstance(error, ApiException) and error.status not in TRANSIENT:
                raise
            if time.monotonic() - started > patience_s:
                advice = "check that the API server runs and that this machine may reach it, then run again"
                raise PrerequisiteError(
                    Fault(where, f"no answer from the API server ({error})", "an answer", advice)
                ) from error
        time.sleep(random.uniform(0.1, min(MAX_PAUSE_S, 0.2 * 2 ** min(attempt, 8))))
    raise AssertionError("unreachable: patience_s ends it")

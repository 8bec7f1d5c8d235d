"""The Kubernetes API as Spica uses it: objects as dicts, passing faults retried, lasting ones named."""

import logging
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeVar

import urllib3
import yaml
from kubernetes import client, config, dynamic
from kubernetes.client.rest import ApiException
from kubernetes.config.config_exception import ConfigException
from kubernetes.dynamic.exceptions import ResourceNotFoundError

from spica.cluster.api_faults import fault_of, message_of
from spica.errors import Fault, PrerequisiteError

Object = dict[str, Any]
Objects = list[Object]
Result = TypeVar("Result")
VERSIONS = {
    "ConfigMap": "v1",
    "Event": "v1",
    "Namespace": "v1",
    "Node": "v1",
    "Pod": "v1",
    "ResourceQuota": "v1",
    "PodTemplate": "v1",
    "Secret": "v1",
    "Service": "v1",
    "ServiceAccount": "v1",
    "Deployment": "apps/v1",
    "Lease": "coordination.k8s.io/v1",
    "CustomResourceDefinition": "apiextensions.k8s.io/v1",
    "LocalSubjectAccessReview": "authorization.k8s.io/v1",
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
FIRST_PAUSE_S, MAX_PAUSE_S = 0.2, 5.0
TIMEOUTS_S = (5.0, 60.0)
"""To connect, to answer."""
SILENCE_S = 300.0
"""A pod that writes nothing for so long may have lost its node: its log is asked for again."""
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
        self.timeouts_s = TIMEOUTS_S
        """Of one request: to connect, to answer."""
        self._api = api

    @property
    def _timeout(self) -> Object:
        return {"_request_timeout": self.timeouts_s}

    @classmethod
    def connect(cls) -> Self:
        """The cluster of this pod, or of $KUBECONFIG; namespace $SPICA_NAMESPACE, or the pod's or context's.

        Raises:
            PrerequisiteError: neither is there, or what is there is none.
        """
        settings, file = client.Configuration(), os.environ.get("KUBECONFIG")
        in_pod = bool(os.environ.get("KUBERNETES_SERVICE_HOST")) and _POD_NAMESPACE.exists()
        try:
            if in_pod:
                config.load_incluster_config(client_configuration=settings)
                found = _POD_NAMESPACE.read_text(encoding="utf-8").strip()
            else:
                config.load_kube_config(file, client_configuration=settings)
                found = config.list_kube_config_contexts(file)[1]["context"].get("namespace", "default")
        except (ConfigException, OSError, TypeError, yaml.YAMLError) as error:
            advice = "set KUBECONFIG, or make a cluster on this machine: `make cluster`"
            raise PrerequisiteError(
                Fault("cluster", f"no usable configuration ({error})", "a cluster to talk to", advice)
            ) from error
        settings.retries = False
        return cls(client.ApiClient(settings), os.environ.get("SPICA_NAMESPACE") or found, found, in_pod)

    @cached_property
    def _dynamic(self) -> dynamic.DynamicClient:
        return _patiently(lambda: self._discover(), "cluster", self.patience_s)

    def _discover(self) -> dynamic.DynamicClient:
        # The client's own cache lies under a name in /tmp that anybody may have written.
        with tempfile.TemporaryDirectory(prefix="spica-") as folder:
            return dynamic.DynamicClient(self._api, cache_file=f"{folder}/discovery.json")

    def get(self, kind: str, name: str, namespace: str | None = None) -> Object | None:
        """The object, or None."""
        return self._ask(
            kind, name, lambda of, here: of.get(name=name, namespace=here, **self._timeout), namespace
        )

    def list(
        self, kind: str, labels: Mapping[str, str] | None = None, namespace: str | None = None
    ) -> Objects:
        """Objects with all of `labels`; of every namespace when `namespace` is "*"."""
        selector = ",".join(f"{key}={value}" for key, value in (labels or {}).items())
        found = self._ask(
            kind,
            selector,
            lambda of, here: of.get(label_selector=selector, namespace=here, **self._timeout),
            namespace,
        )
        return [*(found or {}).get("items", ())]

    def create(self, body: Object) -> Object:
        """Make an object; one that exists already is a ConflictError.

        The caller compares: an answer lost on the way makes the second try meet the object of the first.
        """
        kind, name, strict = body["kind"], body["metadata"]["name"], [("fieldValidation", "Strict")]
        return self._insist(
            kind,
            name,
            lambda of, here: of.create(body=body, namespace=here, query_params=strict, **self._timeout),
            self.namespace,
        )

    def patch(self, kind: str, name: str, body: Object) -> Object | None:
        """Merge `body` into an object; None when it is gone."""
        merge = "application/merge-patch+json"
        return self._ask(
            kind,
            name,
            lambda of, here: of.patch(
                name=name, namespace=here, body=body, content_type=merge, **self._timeout
            ),
        )

    def delete(self, kind: str, name: str, namespace: str | None = None, **only: str) -> None:
        """Delete an object and, before it, what it owns; one that is gone already is no error.

        With `resourceVersion` or `uid` among `only`, an object that is another one by now is a ConflictError.
        """
        options: Object = {"propagationPolicy": "Foreground"}
        if only:
            options["preconditions"] = only
        self._ask(
            kind,
            name,
            lambda of, here: of.delete(name=name, namespace=here, body=options, **self._timeout),
            namespace,
        )

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
        """Lines of a container as they are written; ends with it, when cut, or after a long silence."""
        try:
            answer = client.CoreV1Api(self._api).read_namespaced_pod_log(
                pod, self.namespace, container=container, follow=True, since_seconds=since_s,
                _preload_content=False, _request_timeout=(TIMEOUTS_S[0], SILENCE_S),
            )  # fmt: skip
            with closing(answer):
                for line in answer:
                    yield line.decode(errors="replace").rstrip("\n")
        except (ApiException, urllib3.exceptions.HTTPError, OSError):
            return

    def events(self, name: str) -> Objects:
        """What the cluster says about an object, oldest first."""
        field = f"involvedObject.name={name}"
        found = self._ask(
            "Event", name, lambda of, here: of.get(field_selector=field, namespace=here, **self._timeout)
        )
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
        """One request as `_insist` makes it; None for a name that is not there."""
        here = None if namespace == "*" else namespace or self.namespace
        try:
            return self._insist(kind, name, request, here)
        except PrerequisiteError as error:
            if isinstance(error.__cause__, ApiException) and error.__cause__.status == 404:
                return None
            raise

    def _insist(
        self, kind: str, name: str, request: Callable[[Any, str | None], Any], namespace: str | None
    ) -> Object:
        """One request, repeated while the fault may pass."""
        where = f"{kind} {namespace or '*'}/{name}"
        try:
            answer = _patiently(lambda: request(self._resource(kind), namespace), where, self.patience_s)
        except ApiException as error:
            raise fault_of(error, where) from error
        found: Object = answer.to_dict()
        return found

    def _resource(self, kind: str) -> Any:
        try:
            return self._dynamic.resources.get(api_version=VERSIONS[kind], kind=kind)
        except ResourceNotFoundError as error:
            found = f"the cluster has no {VERSIONS[kind]} {kind}"
            advice = "install its operator (manifests/README.md), then `spica doctor --cluster`"
            raise PrerequisiteError(Fault("cluster", found, "the resource installed", advice)) from error


def _patiently(request: Callable[[], Result], where: str, patience_s: float) -> Result:
    """Repeat a request while its fault may pass.

    Raises:
        ApiException: the server refused.
        PrerequisiteError: it did not answer for `patience_s`.
    """
    started, said = time.monotonic(), ""
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            return request()
        except (ApiException, urllib3.exceptions.HTTPError, OSError) as error:
            if not _may_pass(error):
                raise
            left_s = patience_s - (time.monotonic() - started)
            if left_s <= 0:
                found = f"no answer from the API server ({message_of(error)})"
                advice = "check that the API server runs and that this machine may reach it, then run again"
                raise PrerequisiteError(Fault(where, found, "an answer", advice)) from error
            # Once for each cause: how long it lasts shows by itself.
            if message_of(error) != said:
                said = message_of(error)
                logger.warning("%s: %s; asked again for %.0f s at most", where, said, left_s)
        time.sleep(random.uniform(pause_s / 2, pause_s))
        pause_s = min(MAX_PAUSE_S, 2 * pause_s)


def _may_pass(error: Exception) -> bool:
    if not isinstance(error, ApiException):
        return True
    # The client makes status 0 of every fault of TLS: a cut connection, and a certificate it does not trust.
    return error.status in TRANSIENT or (error.status == 0 and "CERTIFICATE" not in str(error.reason))

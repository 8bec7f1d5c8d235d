"""A model server on the cluster: made or taken up, waited for, and deleted whatever happens."""

import logging
import time
from types import TracebackType
from typing import Self

from spica.cluster.api import Cluster, Object
from spica.cluster.inferenceservice import inference_service
from spica.cluster.pod_state import RANK, PodState, condition, pod_state
from spica.errors import ConflictError, EndpointError, Fault, PrerequisiteError, SpicaError
from spica.launch.contract import ModelServer
from spica.launch.readiness import Refusal, ask_once, cause_of_death
from spica.recipe.schema import Kubernetes

KIND = "InferenceService"
POLL_S = 1.0
TELL_EVERY_S = 5.0
STUCK_S = 120.0
"""A fault that may pass (an image, a secret, the store) has this long to do so."""
GONE_S = 90.0
NUM_LOG_LINES = 400
_PROMPT = "1"
_POD_LABEL = "serving.kserve.io/inferenceservice"
_MARKS = ("spica.dev/spec-digest", "spica.dev/owner")

logger = logging.getLogger(__name__)


class KubernetesEndpoint:
    """The servers of one InferenceService, behind one URL."""

    def __init__(self, cluster: Cluster, server: ModelServer, body: Object) -> None:
        """See `start`."""
        self.url = ""
        self.model = server.name
        self._cluster = cluster
        self._server = server
        self._body = body
        self._name: str = body["metadata"]["name"]
        self._num_servers: int = body["spec"]["predictor"]["minReplicas"]
        self._logged: set[str] = set()

    @classmethod
    def start(
        cls, cluster: Cluster, server: ModelServer, kubernetes: Kubernetes, run: str, owner: str
    ) -> Self:
        """Make the InferenceService, or take up the one of an earlier attempt, and wait until it can serve.

        Ready means that one request was answered. Time spent waiting for quota does not count.

        Raises:
            ConflictError: another spec is served under this name.
            EndpointError: it can never be ready, or was not within `kubernetes.serving.ready_timeout_s`;
                carries the pod's reason.
            PrerequisiteError: the cluster lacks KServe, or refuses this account.
        """
        endpoint = cls(cluster, server, inference_service(server, kubernetes, run, owner))
        print(f"server {server.name}: {endpoint._make()} in {cluster.namespace}", flush=True)
        try:
            endpoint._wait_until_ready(kubernetes.serving.ready_timeout_s)
        except BaseException:
            endpoint._stop_after_fault()
            raise
        return endpoint

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.stop()
        else:
            self._stop_after_fault()

    def check(self) -> None:
        """Raise EndpointError, with the pod's reason, when a server died, was preempted or is gone."""
        state = self._look()
        if state.stage != "ready":
            raise self._fault(state)

    def stop(self) -> None:
        """Delete the InferenceService; returns when its pods are gone (or GONE_S have passed: a warning)."""
        self._keep_logs()
        self._cluster.delete(KIND, self._name)
        ends = time.monotonic() + GONE_S
        while self._cluster.get(KIND, self._name) or self._pods():
            if time.monotonic() > ends:
                logger.warning("server %s is deleted, but pods of it still end: %s", self._name, self._pods_named())
                return
            time.sleep(POLL_S)

    def _make(self) -> str:
        """Make the object, or adopt the equal one of the same owner; says which."""
        existing = self._cluster.get(KIND, self._name)
        if existing is None:
            try:
                self._cluster.create(self._body)
                return f"{self._name} made"
            except ConflictError:
                # Another attempt was faster, or the answer to our own first try was lost.
                return self._make()
        theirs, ours = (item["metadata"].get("annotations", {}) for item in (existing, self._body))
        if existing["metadata"].get("deletionTimestamp") is None:
            if all(theirs.get(mark) == ours[mark] for mark in _MARKS):
                return f"{self._name} adopted"
            if theirs.get(_MARKS[0]) != ours[_MARKS[0]]:
                raise ConflictError(
                    Fault(
                        where=f"server {self._name}",
                        found=f"another spec is served (digest {theirs.get(_MARKS[0], 'none')[:16]})",
                        allowed=f"digest {ours[_MARKS[0]][:16]}",
                        next=f"wait for it, or end it: `kubectl delete inferenceservice {self._name}`",
                    )
                )
        # Of an owner that is gone. To change the annotation would restart its pods: KServe copies it there.
        self.stop()
        return self._make()

    def _wait_until_ready(self, timeout_s: float) -> None:
        started = told = before = time.monotonic()
        waited, stuck_since, refused = 0.0, None, ""
        while True:
            state, now = self._look(), time.monotonic()
            waited += now - before if state.stage != "queued" else 0.0
            stuck_since = (stuck_since or now) if state.stage == "stuck" else None
            if state.stage == "dead" or (stuck_since and now - stuck_since > STUCK_S):
                raise self._fault(state)
            if state.stage == "ready":
                try:
                    self.url = self._find_url()
                    self.model = ask_once(self.url, _PROMPT)
                    return
                except Refusal as refusal:
                    refused = f" ({refusal})"
            if waited > timeout_s:
                raise self._fault(state, f"not ready after {waited:.0f} s, {state.text}{refused}")
            if now - told > TELL_EVERY_S:
                told = now
                print(f"server {self._server.name}: {state.text}, {now - started:.0f} s", flush=True)
            before = now
            time.sleep(POLL_S)

    def _look(self) -> PodState:
        """The state that decides: of the pod that is furthest from being ready."""
        service = self._cluster.get(KIND, self._name)
        if service is None:
            return PodState("dead", "its InferenceService was deleted")
        pods = [pod for pod in self._pods() if "deletionTimestamp" not in pod["metadata"]]
        states = [self._explain(pod, pod_state(pod)) for pod in pods]
        if [state.stage for state in states].count("ready") >= self._num_servers:
            return PodState("ready", "ready")
        # An evicted pod stays as a record beside the one that replaces it.
        if worst := min((s for s in states if s.stage != "ready"), key=lambda s: RANK.index(s.stage), default=None):
            return worst
        # Quota, Pod Security or a secret that is missing keep pods from being made at all.
        unready = condition(service, "PredictorReady", "False") or {}
        if unready.get("reason") in ("FailedCreate", "ReconcileFailed"):
            return PodState("stuck", f"no pod can be made: {unready.get('message', '')}")
        failure = service.get("status", {}).get("modelStatus", {}).get("lastFailureInfo", {})
        if failure.get("reason") in ("RuntimeNotRecognized", "NoSupportingRuntime", "RuntimeDisabled"):
            runtime = self._body["spec"]["predictor"]["model"]["runtime"]
            return PodState("stuck", f"ServingRuntime {runtime}: {failure.get('message', failure['reason'])}")
        return PodState("starting", "waiting for its pods to be made")

    def _explain(self, pod: Object, state: PodState) -> PodState:
        """What Kueue says about a pod that waits for quota."""
        if state.stage != "queued":
            return state
        for workload in self._cluster.list("Workload"):
            owners = workload["metadata"].get("ownerReferences", ())
            if any(owner["uid"] == pod["metadata"]["uid"] for owner in owners):
                waiting = condition(workload, "QuotaReserved", "False") or {}
                said = waiting.get("message", "")
                if "request > maximum capacity" in said:
                    return PodState("dead", f"the queue can never hold it: {said}")
                if waiting.get("reason") == "Inadmissible":
                    return PodState("stuck", said)
                return PodState("queued", f"queued: {said}" if said else state.text)
        return state

    def _find_url(self) -> str:
        """Inside of the cluster the Service's name; outside its address, if the network leads there.

        KServe's Service has port 80, or none of its own when the platform team made it headless.
        """
        service = f"{self._name}-predictor"
        found = self._cluster.get("Service", service)
        if found is None:
            raise Refusal(f"no Service {service} yet")
        address = found["spec"].get("clusterIP", "None")
        port = ":8080" if address == "None" else ""
        if self._cluster.in_pod:
            return f"http://{service}.{self._cluster.namespace}.svc{port}/v1"
        if address == "None":
            raise PrerequisiteError(
                Fault(
                    where=f"service {service}",
                    found="it is headless (KServe's serviceClusterIPNone), and this process is in no pod",
                    allowed="a cluster IP, or a process inside of the cluster",
                    next="submit the recipe (`spica submit`), so that its steps run as pods",
                )
            )
        return f"http://{f'[{address}]' if ':' in address else address}/v1"

    def _pods(self) -> list[Object]:
        return self._cluster.list("Pod", {_POD_LABEL: self._name})

    def _pods_named(self) -> str:
        return ", ".join(pod["metadata"]["name"] for pod in self._pods())

    def _keep_logs(self) -> str:
        """Append what the pods wrote to the server's log file, once; returns the path of that file."""
        logs = self._server.logs
        logs.parent.mkdir(parents=True, exist_ok=True)
        return str(logs)

    def _fault(self, state: PodState, found: str = "") -> SpicaError:
        raise NotImplementedError

    def _stop_after_fault(self) -> None:
        """Stop; a fault that happened before stays the one that is reported."""
        try:
            self.stop()
        except SpicaError as error:
            logger.warning("server %s may be left behind, the reaper ends it\n%s", self._name, error)

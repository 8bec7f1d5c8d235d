"""A model server on the cluster: made or taken up, waited for, and deleted whatever happens."""

import logging
import time
from types import TracebackType
from typing import Self

from spica.cluster.api import Cluster, Object
from spica.cluster.diagnosis import Told
from spica.cluster.inferenceservice import CONTAINER, STORAGE_SECRET, inference_service
from spica.cluster.order import DIGEST
from spica.cluster.owner import lapse_of
from spica.cluster.pool import require_pool
from spica.cluster.server_state import ServerState, server_state
from spica.errors import ConflictError, EndpointError, Fault, PrerequisiteError, SpicaError
from spica.launch.contract import ModelServer
from spica.launch.readiness import Refusal, ask_once, cause_of_death, tail
from spica.recipe.schema import Kubernetes

KIND = "InferenceService"
POLL_S = 1.0
STUCK_S = 120.0
"""A fault that may pass (an image, a secret, the store) has this long to do so."""
GONE_S = 90.0
NUM_LOG_LINES = 400
_PROMPT = "1"
_POD_LABEL = "serving.kserve.io/inferenceservice"

logger = logging.getLogger(__name__)


class KubernetesEndpoint:
    """The servers of one InferenceService, behind one URL."""

    def __init__(self, cluster: Cluster, server: ModelServer, body: Object, owner: str) -> None:
        """See `start`."""
        self.url = ""
        self.model = server.name
        self._cluster = cluster
        self._server = server
        self._body = body
        self._owner = owner
        self._name: str = body["metadata"]["name"]
        self._num_servers: int = body["spec"]["predictor"]["minReplicas"]

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
        require_pool(cluster, kubernetes.serving)
        endpoint = cls(cluster, server, inference_service(server, kubernetes, run, owner), owner)
        made = endpoint._make()
        try:
            print(f"server {server.name}: {endpoint._name} {made} in {cluster.namespace}", flush=True)
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
            raise self._unready(state)

    def stop(self) -> None:
        """Delete the InferenceService; returns when its pods are gone (with a warning after GONE_S)."""
        self._keep_logs()
        self._delete()

    def _delete(self) -> None:
        self._cluster.delete(KIND, self._name)
        ends = time.monotonic() + GONE_S
        while self._cluster.get(KIND, self._name) or self._pods():
            if time.monotonic() > ends:
                pods = ", ".join(pod["metadata"]["name"] for pod in self._pods())
                logger.warning("server %s is deleted, but not gone yet: %s", self._name, pods)
                return
            time.sleep(POLL_S)

    def _stop_after_fault(self) -> None:
        """Stop; the fault that happened before stays the one that is reported."""
        try:
            self.stop()
        except SpicaError as error:
            logger.warning("server %s may be left to the reaper\n%s", self._name, error)

    def _make(self) -> str:
        """Make the object, or adopt the one of an earlier attempt; says which."""
        existing = self._cluster.get(KIND, self._name)
        if existing is None:
            try:
                self._cluster.create(self._body)
                return "made"
            except ConflictError:
                # Another attempt was faster, or the answer to our own first try was lost.
                return self._make()
        if "deletionTimestamp" in existing["metadata"]:
            self._delete()
            return self._make()
        found, ours = (item["metadata"].get("annotations", {}) for item in (existing, self._body))
        if found.get(DIGEST) != ours[DIGEST]:
            raise self._conflict(found.get(DIGEST, "none"), ours[DIGEST])
        return "adopted"

    def _conflict(self, found: str, allowed: str) -> ConflictError:
        return ConflictError(
            Fault(
                where=f"server {self._name}",
                found=f"another spec is served (digest {found[:16]})",
                allowed=f"digest {allowed[:16]}",
                next=f"wait for it, or end it: `kubectl delete inferenceservice {self._name}`",
            )
        )

    def _wait_until_ready(self, timeout_s: float) -> None:
        started = before = time.monotonic()
        told, waited, stuck = Told(), 0.0, 0.0
        refused = ""
        while True:
            state, now = self._look(), time.monotonic()
            waited += now - before if state.stage != "queued" else 0.0
            stuck = stuck + now - before if state.stage == "stuck" else 0.0
            before = now
            if state.stage == "dead" or stuck > STUCK_S:
                raise self._fault(state)
            if state.stage == "ready":
                try:
                    self.url = self._find_url()
                    self.model = ask_once(self.url, _PROMPT)
                    return
                except Refusal as refusal:
                    refused = f" ({refusal})"
            if waited > timeout_s:
                text = f"not ready after {waited:.0f} s: {state.text}{refused}"
                raise self._unready(state._replace(stage="starting", text=text))
            if told.is_news(state.text, now):
                print(f"server {self._server.name}: {state.text}, {now - started:.0f} s", flush=True)
            time.sleep(POLL_S)

    def _look(self) -> ServerState:
        pods = self._pods()
        gated = any("schedulingGates" in pod["spec"] for pod in pods)
        workloads = self._cluster.list("Workload") if gated else []
        service = self._cluster.get(KIND, self._name)
        state = server_state(service, pods, workloads, self._num_servers)
        if service is None and (lapse := lapse_of(self._owner)):
            return state._replace(text=f"{state.text}; the reaper may have done it: {lapse}")
        return state

    def _pods(self) -> list[Object]:
        return self._cluster.list("Pod", {_POD_LABEL: self._name})

    def _find_url(self) -> str:
        """Inside of the cluster the Service's name; outside its address, if the network leads there.

        KServe's Service has port 80, or none of its own where the platform team made it headless.
        """
        service = f"{self._name}-predictor"
        found = self._cluster.get("Service", service)
        if found is None:
            raise Refusal(f"no Service {service} yet")
        address = found["spec"].get("clusterIP", "None")
        if self._cluster.in_pod:
            port = ":8080" if address == "None" else ""
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
        is_ipv6 = address.count(":") > 1
        return f"http://[{address}]/v1" if is_ipv6 else f"http://{address}/v1"

    def _fault(self, state: ServerState) -> SpicaError:
        """The error that says why the server does not serve; a container's last lines belong to it."""
        if state.container:
            start = self._write_log(state.pod, state.restarted)
            if self._server.logs.stat().st_size > start:
                return cause_of_death(self._server.name, state.exit_code, self._server.logs, start)
        where, namespace = f"server {self._server.name}", self._cluster.namespace
        if state.keys_refused:
            secret = self._body["metadata"]["annotations"][STORAGE_SECRET]
            advice = f"look at the keys in Secret {secret} of namespace {namespace}, then run again"
            return EndpointError(Fault(where, state.text, "keys that may read the store", advice))
        events = f"`kubectl get events -n {namespace}` says more"
        advice = f"correct the profile or the cluster ({events}), then run again"
        return EndpointError(Fault(where, state.text, "a server that answers", advice))

    def _unready(self, state: ServerState) -> SpicaError:
        """The error of a server that may run and does not answer: what Kubernetes and its log say of it."""
        if not state.pod or state.container:
            return self._fault(state)
        failed = [event for event in self._cluster.events(state.pod) if event.get("reason") == "Unhealthy"]
        probe = failed[-1].get("message", "").strip() if failed else "no probe has failed yet"
        start = self._write_log(state.pod, previous=False)
        lines = tail(self._server.logs, start)
        log = f"its last lines:\n{lines}" if lines else "it has written nothing"
        found = f"{state.text}\n    pod {state.pod} runs: {probe}; {log}"
        advice = (
            f"read {self._server.logs}; if it still loads, raise kubernetes.serving.ready_timeout_s; "
            "else correct the ServingRuntime, then run again"
        )
        return EndpointError(Fault(f"server {self._server.name}", found, "a server that answers", advice))

    def _keep_logs(self) -> None:
        """What the servers wrote stays with the stage; best effort."""
        for pod in self._pods():
            self._write_log(pod["metadata"]["name"], previous=False)

    def _write_log(self, pod: str, previous: bool) -> int:
        """Append the pod's last lines to the server's log file; returns where they begin."""
        logs = self._server.logs
        logs.parent.mkdir(parents=True, exist_ok=True)
        text = self._cluster.logs(pod, CONTAINER, NUM_LOG_LINES, previous)
        with logs.open("a", encoding="utf-8") as file:
            start = file.tell()
            file.write(text if not text or text.endswith("\n") else f"{text}\n")
        return start

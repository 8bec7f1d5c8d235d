"""A training on the cluster: submitted or adopted, watched to its end, its results brought to the stage."""

import logging
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

from spica.artifacts.workspace import Delivery, Work
from spica.cluster.agent import DELIVERY, ENDINGS
from spica.cluster.api import Cluster, Object
from spica.cluster.diagnosis import State, first_failure, state_of
from spica.cluster.order import s3_store
from spica.cluster.owner import Renewals, is_alive
from spica.cluster.pytorchjob import CONTAINER
from spica.errors import ConflictError, Fault, SpicaError, StageError
from spica.launch.contract import Training

KIND = "PyTorchJob"
POLL_S = 2.0
TELL_EVERY_S = 8.0
"""A line at least so often, while nothing changes."""
LOOK_EVERY_S = 15.0
"""How often a running job is looked at without being told that it changed."""
STUCK_S = 120.0
"""How long an image, a secret or a refused pod has to be mended; then the quota is given back."""
WATCH_S = 240.0
ENDED = ("succeeded", "failed")
NUM_LOG_LINES = 20
RUN = "spica.dev/run"
_DIGEST = "spica.dev/spec-digest"

logger = logging.getLogger(__name__)


class KubernetesJob:
    """One PyTorchJob and what its pods left in the store."""

    def __init__(self, cluster: Cluster, name: str, job: Training, work: Work, owner: str) -> None:
        """See `submit`."""
        self._cluster = cluster
        self._name = name
        self._job = job
        self._work = work
        self._owner = owner
        self._queue: queue.Queue[str | None] = queue.Queue()
        """Lines of the master; None: the job has changed."""
        self._ended = threading.Event()
        self._followed = ""
        self._read_at = 0.0

    def watch(self) -> Iterator[str]:
        """Yield progress and the master's lines until the job ends; cut connections are taken up again."""
        watcher = threading.Thread(target=self._watch_changes, name="watch", daemon=True)
        watcher.start()
        follower: threading.Thread | None = None
        told, stuck_since = 0.0, None
        state: State | None = None
        try:
            while True:
                before, state = state, self._look()
                stuck_since = (stuck_since or time.monotonic()) if state.is_stuck else None
                if state.is_hopeless or (stuck_since and time.monotonic() - stuck_since > STUCK_S):
                    raise self._given_up(state)
                changed = before is None or state.name != before.name
                if changed or (state.name != "running" and time.monotonic() - told > TELL_EVERY_S):
                    told = time.monotonic()
                    yield f"sft {self._name}: {state}"
                if state.name == "running" and (follower is None or not follower.is_alive()):
                    follower = threading.Thread(target=self._follow, name="logs", daemon=True)
                    follower.start()
                if state.name in ENDED:
                    if follower:
                        follower.join(POLL_S)
                    yield from self._news(0.0)
                    return
                # Pods change without the job: until all run, look at them often.
                yield from self._news(LOOK_EVERY_S if state.name == "running" else POLL_S)
        finally:
            self._ended.set()

    def _watch_changes(self) -> None:
        """Say when the job changes; a watch that is cut goes on from the version it had seen."""
        while not self._ended.is_set():
            try:
                job = self._cluster.get(KIND, self._name)
                version = job["metadata"]["resourceVersion"] if job else None
                while version and not self._ended.is_set():
                    seen = version
                    for state in self._cluster.watch(KIND, self._name, version, WATCH_S):
                        version = state["metadata"]["resourceVersion"] if state else None
                        self._queue.put(None)
                    if version == seen:
                        # Cut at once, or the version is too old: begin with the object as it is.
                        break
            except SpicaError as error:
                logger.warning("%s", error)
            self._queue.put(None)
            self._ended.wait(POLL_S)

    def wait(self) -> int:
        """0 when the job succeeded, 1 when it failed; brings how it ended into the stage's scratch.

        Raises:
            StageError: it failed and its ranks left no fault of their own.
        """
        while (state := self._look()).name not in ENDED:
            time.sleep(POLL_S)
        store = s3_store(self._work.store)
        out = self._job.out
        for name in ENDINGS:
            (out.scratch / name).unlink(missing_ok=True)
        fetched = store.job_shelf(self._work.task, self._work.key).restore(out.scratch, ENDINGS.__contains__)
        if DELIVERY in fetched:
            out.delivery = Delivery.model_validate_json((out.scratch / DELIVERY).read_bytes())
            return 0
        if state.name == "failed" and not fetched:
            raise self._failure(state)
        if not fetched:
            where, found = f"job {self._name}", "it succeeded, and its result is no longer beside it"
            advice = "run again: another attempt that watched the same job has published it"
            raise StageError(Fault(where, found, "a result to publish", advice))
        return 1

    def stop(self, grace_s: float = 30.0) -> None:
        """Delete the job, unless its run lives on and another attempt of this step will take it up.

        Its pods get SIGTERM and save within their own grace period, see `kubernetes.training.grace_s`.
        """
        if self._cluster.get(KIND, self._name) is None:
            return
        if self._owner.startswith("Workflow/") and is_alive(self._cluster, self._owner, Renewals()):
            print(f"job {self._name} runs on; the next attempt of this step takes it up", flush=True)
            return
        self._cluster.delete(KIND, self._name)
        while self._cluster.get(KIND, self._name) or self._pods():
            time.sleep(POLL_S)

    def _look(self) -> State:
        job = self._cluster.get(KIND, self._name)
        if job is None:
            where, advice = f"job {self._name}", "run again: it goes on from the last checkpoint"
            raise StageError(Fault(where, "deleted while it ran", "a job that ends by itself", advice))
        pods, workload = self._pods(), self._workload(job)
        state = state_of(job, pods, workload)
        if state.name not in ("starting", "restarting", "queued"):
            return state
        return state_of(job, pods, workload, self._cluster.events(self._name))

    def _pods(self) -> list[Object]:
        return self._cluster.list("Pod", {"training.kubeflow.org/job-name": self._name})

    def _workload(self, job: Object) -> Object | None:
        mine = {"kueue.x-k8s.io/job-uid": job["metadata"]["uid"]}
        return next(iter(self._cluster.list("Workload", mine)), None)

    def _follow(self) -> None:
        """Pass on what the master writes; of a pod that is followed again, only what is new."""
        master = f"{self._name}-master-0"
        pod = self._cluster.get("Pod", master)
        uid = pod["metadata"]["uid"] if pod else ""
        since_s = int(time.monotonic() - self._read_at) + 1 if uid == self._followed else None
        self._followed = uid
        for line in self._cluster.follow(master, CONTAINER, since_s):
            self._read_at = time.monotonic()
            self._queue.put(line)

    def _news(self, wait_s: float) -> Iterator[str]:
        """Yield lines for so long, or until the job changes."""
        ends = time.monotonic() + wait_s
        while True:
            left_s = ends - time.monotonic()
            try:
                line = self._queue.get(timeout=max(0.01, left_s))
            except queue.Empty:
                return
            if line is not None:
                with self._job.logs.open("a", encoding="utf-8") as log:
                    log.write(line + "\n")
                yield line
            if wait_s and (line is None or left_s <= 0):
                return

    def _given_up(self, state: State) -> StageError:
        """Delete a job that will not start; it would hold its quota until its deadline."""
        self._cluster.delete(KIND, self._name)
        advice = "mend what it says (`spica doctor --cluster` looks at all of it), then run again"
        return StageError(Fault(f"job {self._name}", str(state), "a job that starts", advice))

    def _failure(self, state: State) -> StageError:
        failure = first_failure(self._pods())
        found = str(state)
        if failure:
            log = self._cluster.logs(failure.pod, CONTAINER, NUM_LOG_LINES) or failure.message
            found += "\n" + "\n".join(f"    {line}" for line in log.splitlines()[-NUM_LOG_LINES:])
        advice = f"`kubectl describe pytorchjob {self._name}`, then run again: it goes on from the checkpoint"
        return StageError(Fault(f"job {self._name}", found, "a training that succeeds", advice))


def submit(cluster: Cluster, body: Object, delivered: bool) -> str:
    """Make the job, or take up the one that is there; returns `made`, `adopted` or `finished`.

    Args:
        cluster: where.
        body: the PyTorchJob.
        delivered: whether the store holds a result of this job: a finished job without one is made anew.

    Raises:
        ConflictError: another spec runs under this name.
    """
    name, digest = body["metadata"]["name"], body["metadata"]["annotations"][_DIGEST]
    existing = cluster.get(KIND, name)
    if existing is None:
        try:
            cluster.create(body)
            return "made"
        except ConflictError:
            # Another attempt was faster, or the answer to our own first try was lost.
            existing = cluster.get(KIND, name)
            if existing is None:
                return submit(cluster, body, delivered)
    ended = state_of(existing, (), None).name
    if ended == "succeeded" and delivered:
        return "finished"
    if ended in ENDED or existing["metadata"].get("deletionTimestamp"):
        _remove(cluster, existing)
        return submit(cluster, body, delivered)
    found = existing["metadata"].get("annotations", {}).get(_DIGEST, "none")
    if found != digest:
        advice = f"wait for it, or end it: `kubectl delete pytorchjob {name}`"
        raise ConflictError(
            Fault(f"job {name}", f"another spec runs (digest {found[:16]})", f"digest {digest[:16]}", advice)
        )
    ours = {"annotations": body["metadata"]["annotations"], "labels": {RUN: body["metadata"]["labels"][RUN]}}
    taken = cluster.patch(KIND, name, {"metadata": ours})
    if taken is None or taken["metadata"].get("deletionTimestamp"):
        # Somebody deleted it just before it was ours.
        return submit(cluster, body, delivered)
    return "adopted"


def _remove(cluster: Cluster, job: Object) -> None:
    """Delete exactly this job, not one that somebody made in its place meanwhile."""
    name, uid = job["metadata"]["name"], job["metadata"]["uid"]
    with suppress(ConflictError):
        cluster.delete(KIND, name, uid=job["metadata"]["uid"])
    told = time.monotonic()
    while (found := cluster.get(KIND, name)) and found["metadata"].get("uid") == uid:
        if time.monotonic() - told > TELL_EVERY_S:
            told = time.monotonic()
            print(f"job {name}: waiting for the end of an earlier one's pods", flush=True)
        time.sleep(POLL_S)

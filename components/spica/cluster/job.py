"""A training on the cluster: submitted or adopted, watched to its end, its results brought to the stage."""

import logging
import queue
import re
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

from spica.artifacts.s3_faults import CREDENTIALS_REFUSED
from spica.artifacts.workspace import Delivery, Work
from spica.cluster.api import Cluster, Object
from spica.cluster.diagnosis import State, Told, first_failure, state_of
from spica.cluster.endings import DELIVERY, ENDINGS, RESULT, forget_endings
from spica.cluster.order import DIGEST, s3_store
from spica.cluster.owner import lapse_of, let_go
from spica.cluster.pytorchjob import CONTAINER
from spica.errors import ConflictError, Fault, SpicaError, StageError
from spica.launch.contract import Training

KIND = "PyTorchJob"
POLL_S = 2.0
TELL_EVERY_S = 8.0
"""A line so often, while the pods of a job end."""
LOOK_EVERY_S = 15.0
"""How often a running job is looked at without being told that it changed."""
WATCH_S = 240.0
ENDED = ("succeeded", "failed")
NUM_LOG_LINES = 20
RUN = "spica.dev/run"
_KEYS_REFUSED = re.compile(rf"{CREDENTIALS_REFUSED} .+")

logger = logging.getLogger(__name__)


class KubernetesJob:
    """One PyTorchJob and what its pods left in the store."""

    def __init__(
        self, cluster: Cluster, name: str, job: Training, work: Work, owner: str, storage: str
    ) -> None:
        """See `submit`; `storage` is the Secret that holds the pods' keys of the store."""
        self._cluster = cluster
        self._name = name
        self._job = job
        self._shelf = s3_store(work.store).job_shelf(work.task, work.key)
        self._owner = owner
        self._storage = storage
        self._trouble: State | None = None
        """What kept it from running when it was last looked at."""
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
        told, since = Told(), 0.0
        state: State | None = None
        try:
            while True:
                before, state = state, self._look()
                changed, now = before is None or state.name != before.name, time.monotonic()
                since = now if changed else since
                if state.patience_s is not None and now - since >= state.patience_s:
                    raise self._given_up(state)
                if (changed or state.name != "running") and (told.is_news(str(state), now) or changed):
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
        out = self._job.out
        for name in ENDINGS:
            (out.scratch / name).unlink(missing_ok=True)
        fetched = self._shelf.restore(out.scratch, ENDINGS.__contains__)
        if DELIVERY in fetched:
            out.delivery = Delivery.model_validate_json((out.scratch / DELIVERY).read_bytes())
            return 0
        if RESULT in fetched:
            # Its ranks had done all, and node 0 could not deliver it: there is nothing to publish.
            (out.scratch / RESULT).unlink()
            fetched.remove(RESULT)
        if state.name == "failed" and not fetched:
            raise self._failure(state)
        if not fetched:
            where, found = f"job {self._name}", "it succeeded, and its result is no longer beside it"
            raise StageError(Fault(where, found, "a result to publish", "run again: the job is made anew"))
        return 1

    def stop(self, grace_s: float = 30.0) -> None:
        """Delete the job, unless another run wants it; that of a pipeline's run is left to the reaper.

        Its pods get SIGTERM and save within their own grace period, see `kubernetes.training.grace_s`.
        """
        if self._owner.startswith("Workflow/"):
            print(
                f"job {self._name} runs on as long as its run does: another attempt takes it up", flush=True
            )
        elif deleted := let_go(self._cluster, KIND, self._name, self._owner):
            _await_end(self._cluster, deleted)
        elif self._cluster.get(KIND, self._name):
            print(f"job {self._name} runs on for another run", flush=True)

    def _look(self) -> State:
        job = self._cluster.get(KIND, self._name)
        if job is None and DELIVERY in self._shelf.names():
            # Deleted after its end: by its TTL, perhaps, while nobody watched.
            return State("succeeded", "")
        if job is None:
            raise self._gone()
        pods, workload = self._pods(), self._workload(job)
        state = state_of(job, pods, workload)
        if state.name in ("starting", "restarting", "queued"):
            state = state_of(job, pods, workload, self._cluster.events(self._name))
        if state.patience_s is not None:
            self._trouble = state
        elif state.name == "running":
            self._trouble = None
        return state

    def _gone(self) -> StageError:
        """Somebody deleted the job: who else than a person, and what was wrong with it before."""
        found, advice = "deleted while it ran", "run again: it goes on from the last checkpoint"
        if lapse := lapse_of(self._owner):
            found += f"; the reaper may have: {lapse}"
            advice = f"check that the API server can be reached all the time, then {advice}"
        if self._trouble:
            found += f"; before, {self._trouble}"
            advice = f"mend what kept it from running, then {advice}"
        return StageError(Fault(f"job {self._name}", found, "a job that ends by itself", advice))

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
        """Let go of a job that will not start; it would hold its quota until its deadline."""
        let_go(self._cluster, KIND, self._name, self._owner)
        advice = "mend what it says (`spica doctor --cluster` looks at all of it), then run again"
        return StageError(Fault(f"job {self._name}", str(state), "a job that starts", advice))

    def _failure(self, state: State) -> StageError:
        failure = first_failure(self._pods())
        where, found = f"job {self._name}", str(state)
        if failure:
            log = self._cluster.logs(failure.pod, CONTAINER, NUM_LOG_LINES) or failure.message
            if refused := _KEYS_REFUSED.search(log):
                # The log tells it twice, with an advice for whoever has the keys in the environment.
                secret = f"Secret {self._storage} of namespace {self._cluster.namespace}"
                allowed, advice = "keys that may read and write the store", f"look at the keys in {secret}"
                found += f"\n    {failure.pod}: {refused[0]}"
                return StageError(Fault(where, found, allowed, f"{advice}, then run again"))
            found += "\n" + "\n".join(f"    {line}" for line in log.splitlines()[-NUM_LOG_LINES:])
        advice = f"`kubectl describe pytorchjob {self._name}`, then run again: it goes on from the checkpoint"
        return StageError(Fault(where, found, "a training that succeeds", advice))


def submit(cluster: Cluster, body: Object, work: Work) -> str:
    """Make the job, or take up the one that is there; returns `made`, `adopted` or `finished`.

    What was delivered and is not yet published needs no job. A finished job whose result nobody has any more
    is made anew, and so is a failed one.

    Raises:
        ConflictError: another spec runs under this name.
    """
    name, store = body["metadata"]["name"], s3_store(work.store)
    shelf = store.job_shelf(work.task, work.key)
    while True:
        existing = cluster.get(KIND, name)
        ended = state_of(existing, (), None).name if existing else None
        if ended in (None, *ENDED) and DELIVERY in shelf.names():
            return "finished"
        if existing is None:
            forget_endings(shelf)
            # Another attempt may be faster, or the answer to our own first try was lost.
            with suppress(ConflictError):
                cluster.create(body)
                return "made"
            continue
        # Whoever publishes a result takes it off the shelf.
        if ended == "succeeded" and store.find(work.task, work.key):
            return "finished"
        if ended in ENDED or existing["metadata"].get("deletionTimestamp"):
            with suppress(ConflictError):
                cluster.delete(KIND, name, uid=existing["metadata"]["uid"])
            _await_end(cluster, existing)
        elif _adopt(cluster, existing, body):
            return "adopted"


def _adopt(cluster: Cluster, existing: Object, body: Object) -> bool:
    """Become one more owner of an equal job; False if somebody deleted it just before it was ours."""
    name, ours = body["metadata"]["name"], body["metadata"]
    digest, found = ours["annotations"][DIGEST], existing["metadata"].get("annotations", {}).get(DIGEST)
    if found != digest:
        advice = f"wait for it, or end it: `kubectl delete pytorchjob {name}`"
        running = f"another spec runs (digest {str(found)[:16]})"
        raise ConflictError(Fault(f"job {name}", running, f"digest {digest[:16]}", advice))
    changes = {"annotations": ours["annotations"], "labels": {RUN: ours["labels"][RUN]}}
    taken = cluster.patch(KIND, name, {"metadata": changes})
    return taken is not None and not taken["metadata"].get("deletionTimestamp")


def _await_end(cluster: Cluster, job: Object) -> None:
    """Wait until exactly this job and its pods are gone, not one that somebody made in its place."""
    name, uid, told = job["metadata"]["name"], job["metadata"]["uid"], time.monotonic()
    while (found := cluster.get(KIND, name)) and found["metadata"].get("uid") == uid:
        if time.monotonic() - told > TELL_EVERY_S:
            told = time.monotonic()
            print(f"job {name}: waiting for the end of its pods", flush=True)
        time.sleep(POLL_S)

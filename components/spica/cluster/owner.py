"""Who a job or server is made for; what no living owner stands behind is ended (`spica.cluster.reaper`).

In a step of a pipeline the owner is the Workflow that KFP made for the run: the step's pod may be replaced,
and its successor finds the job. Elsewhere it is a Lease that the client renews as long as it lives. Runs that
want the same training share one job: it has an annotation for each of them.
"""

import atexit
import logging
import os
import secrets
import socket
import threading
import time
from contextlib import suppress
from copy import copy
from datetime import UTC, datetime
from typing import Any

from spica.artifacts.manifest import sha256_of
from spica.cluster.api import Cluster, Object
from spica.cluster.order import object_name
from spica.errors import ConflictError, Fault, SpicaError, StageError

RENEW_EVERY_S = 5.0
RENEW_TIMEOUTS_S = (3.0, 5.0)
"""To connect, to answer: a request that hangs must leave time for several others."""
LEASE_S = 60
"""A client that has not renewed for so long is dead; one that is stopped gives its lease up at once."""
LOOK_GAP_S = 20.0
"""Between two looks at a lease; after a longer gap nobody knows whether it was renewed."""
WORKFLOW_LABEL = "workflows.argoproj.io/workflow"
ENDED = ("Succeeded", "Failed", "Error")
OURS = {"app.kubernetes.io/part-of": "spica"}
ANNOTATION = "owner.spica.dev/"
"""Begins the name of an owner's annotation; a digest of the owner ends it."""
RELEASE_S = 10.0
"""How long a process that ends waits for the API server: its lease runs out by itself."""

logger = logging.getLogger(__name__)


def owner_annotation(owner: str) -> dict[str, str]:
    """What names an owner; one annotation each, so that two who come at once do not overwrite each other."""
    return {ANNOTATION + sha256_of(owner.encode())[:16]: owner}


def owners_of(item: Object) -> list[str]:
    """All owners that an object names, the dead ones too."""
    annotations = item["metadata"].get("annotations") or {}
    return [owner for name, owner in annotations.items() if name.startswith(ANNOTATION)]


def let_go(cluster: Cluster, kind: str, name: str, owner: str) -> Object | None:
    """Take an owner off an object; the last one deletes it. Returns the object if it is deleted.

    Whether the others live is the reaper's to find out: it may look at all of them, and does so twice.

    Raises:
        PrerequisiteError: the cluster does not answer, or refuses this account.
    """
    while found := cluster.get(kind, name):
        version = found["metadata"]["resourceVersion"]
        # Somebody may take it up, or leave it, at this moment: both would be seen as another version.
        with suppress(ConflictError):
            if set(owners_of(found)) - {owner}:
                ours = dict.fromkeys(owner_annotation(owner))
                changes = {"resourceVersion": version, "annotations": ours}
                cluster.patch(kind, name, {"metadata": changes})
                return None
            cluster.delete(kind, name, resourceVersion=version)
            return found
    return None


def owner_of_this_process(cluster: Cluster, run: str) -> str:
    """`Workflow/NAMESPACE/NAME` in a step of a pipeline, else `Lease/NAMESPACE/NAME`, which is kept alive.

    Raises:
        PrerequisiteError: the cluster does not answer, or does not let a lease be made.
    """
    if cluster.in_pod:
        own = cluster.own_namespace
        # A host name ends after 63 characters, the pod's own name need not: KFP says it.
        pod = cluster.get("Pod", os.environ.get("KFP_POD_NAME") or socket.gethostname(), own)
        if pod and (workflow := pod["metadata"].get("labels", {}).get(WORKFLOW_LABEL)):
            return f"Workflow/{own}/{workflow}"
    lease = object_name(f"spica-{run or socket.gethostname()}", secrets.token_hex(16))
    _renew(cluster, lease)
    owner = f"Lease/{cluster.namespace}/{lease}"
    kept = _kept[owner] = KeptLease(cluster, lease)
    threading.Thread(target=kept.keep, name="lease", daemon=True).start()
    atexit.register(release, cluster, owner)
    return owner


class KeptLease:
    """A lease of this process, just made, which is renewed until the process ends."""

    def __init__(self, cluster: Cluster, lease: str) -> None:
        """`cluster` is used with a patience of its own: a renewal is tried again by the next one."""
        self.stopped = threading.Event()
        self._cluster = copy(cluster)
        self._cluster.patience_s, self._cluster.timeouts_s = 0.0, RENEW_TIMEOUTS_S
        self._lease = lease
        self._renewed = time.monotonic()
        self._cause = ""
        """Why the last renewal failed."""
        self._lapsed = ""

    def keep(self) -> None:
        """Renew it until `stopped`."""
        while not self.stopped.wait(RENEW_EVERY_S):
            self.renew()

    def renew(self) -> None:
        """Renew it once; what fails is told when it begins and when it is over."""
        try:
            made = _renew(self._cluster, self._lease)
        # Whatever it was, the run goes on, and so must its lease.
        except Exception as error:
            cause = error.faults[0].found if isinstance(error, SpicaError) else repr(error)
            if not self._cause:
                told = "Lease %s is not renewed: %s; tried again, after %d s without it what it owns is ended"
                logger.warning(told, self._lease, cause, LEASE_S)
            self._cause = cause
            return
        silent_s = time.monotonic() - self._renewed
        if made or silent_s >= LEASE_S:
            end = "was gone and is made anew" if made else "is renewed again"
            why = f": {self._cause}" if self._cause else ""
            self._lapsed = (
                f"Lease {self._lease} {end} since {_now():%H:%M:%S} UTC, after {silent_s:.0f} s{why}"
            )
        if made or self._cause:
            logger.warning("Lease %s is renewed again, after %.0f s", self._lease, silent_s)
        self._renewed, self._cause = time.monotonic(), ""

    def lapse(self) -> str:
        """See `lapse_of`."""
        silent_s = time.monotonic() - self._renewed
        if silent_s < LEASE_S:
            return self._lapsed
        return f"Lease {self._lease} is not renewed since {silent_s:.0f} s: {self._cause or 'no answer'}"


_kept: dict[str, KeptLease] = {}
"""Those of this process, by owner."""


def lapse_of(owner: str) -> str:
    """Why the reaper may have taken this process for dead; "" where its lease was renewed in time."""
    kept = _kept.get(owner)
    return kept.lapse() if kept else ""


class Renewals:
    """When leases were seen to be renewed, by this process's clock: those of clients may be wrong."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, float, float]] = {}
        """Owner -> its renewTime, since when that stands there, when it was last looked at."""

    def lives(self, owner: str, lease: Object, now: float) -> bool:
        """Whether the lease was renewed within its duration; `now` is monotonic, in seconds.

        After a gap between two looks (the API server was away) nobody could have renewed: it begins anew.
        """
        spec = lease["spec"]
        renewed, since, looked = self._seen.get(owner, ("", now, now))
        if spec.get("renewTime", "") != renewed or now - looked >= LOOK_GAP_S:
            since = now
        self._seen[owner] = (spec.get("renewTime", ""), since, now)
        return now - since < float(spec.get("leaseDurationSeconds", LEASE_S))


def is_alive(cluster: Cluster, owner: str, renewals: Renewals) -> bool:
    """Whether the owner that an annotation names still wants what was made for it.

    A lease that is seen for the first time lives: only the next look can tell.

    Raises:
        PrerequisiteError: the cluster does not answer; then nobody knows.
        StageError: `owner` is not written as it should be; nobody knows either.
    """
    kind, _, place = owner.partition("/")
    namespace, _, name = place.partition("/")
    if kind not in ("Workflow", "Lease") or not namespace or not name:
        allowed = "Workflow/NAMESPACE/NAME or Lease/NAMESPACE/NAME"
        raise StageError(
            Fault(f"annotation {ANNOTATION}*", repr(owner), allowed, "delete the object by hand")
        )
    found = cluster.get(kind, name, namespace)
    if found is None:
        return False
    if kind == "Workflow":
        return workflow_lives(found)
    return renewals.lives(owner, found, time.monotonic())


def workflow_lives(workflow: Object) -> bool:
    """KFP ends a run by setting the deadline of its Workflow to 0."""
    spec, status = workflow.get("spec", {}), workflow.get("status") or {}
    stopped = spec.get("shutdown") or spec.get("activeDeadlineSeconds") == 0
    return not stopped and status.get("phase") not in ENDED


def release(cluster: Cluster, owner: str) -> None:
    """Give up a lease, so that what is left of its run is ended at once."""
    kind, namespace, name = owner.split("/")
    if kind == "Lease":
        if kept := _kept.pop(owner, None):
            kept.stopped.set()
        cluster.patience_s = RELEASE_S
        with suppress(SpicaError):
            cluster.delete(kind, name, namespace)


def _renew(cluster: Cluster, lease: str) -> bool:
    """Renew a lease, or make it; says whether it had to be made."""
    spec: dict[str, Any] = {
        "holderIdentity": f"{socket.gethostname()}-{os.getpid()}",
        "leaseDurationSeconds": LEASE_S,
        "renewTime": _now().isoformat(timespec="microseconds"),
    }
    if cluster.patch("Lease", lease, {"spec": spec}) is not None:
        return False
    metadata = {"name": lease, "namespace": cluster.namespace, "labels": OURS}
    body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
    # The answer to our own first try may have been lost.
    with suppress(ConflictError):
        cluster.create(body)
    return True


def _now() -> datetime:
    return datetime.now(UTC)

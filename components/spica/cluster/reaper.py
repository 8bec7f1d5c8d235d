"""Ends what no living run owns: `python -m spica.cluster.reaper [--every 10]`.

A run that was cancelled, or whose client died, may leave jobs and servers behind, and they hold GPUs. Each
carries the names of its owners; the reaper looks every few seconds and deletes what belongs to nobody, then
the leases of clients that died.
"""

import argparse
import logging
import sys
import time
from contextlib import suppress
from pathlib import Path

from spica.cluster.api import Cluster, Object
from spica.cluster.owner import OURS, Renewals, is_alive, owners_of
from spica.errors import ConflictError, SpicaError

KINDS = ("PyTorchJob", "InferenceService", "Lease")
"""In the order in which they are ended: a training holds the most GPUs, a lease holds none."""

logger = logging.getLogger("spica.cluster.reaper")


def orphans(cluster: Cluster, renewals: Renewals, kind: str) -> list[Object]:
    """Objects of this namespace whose owners are all gone, but nothing that ended by itself or has none.

    A lease is its own owner: it is one as soon as nobody renews it.

    Raises:
        PrerequisiteError: the cluster does not answer, or knows no such kind.
    """
    found = []
    for item in cluster.list(kind, OURS):
        owners = _owners(item)
        try:
            if owners and not _ended(item) and not any(is_alive(cluster, one, renewals) for one in owners):
                found.append(item)
        except SpicaError as error:
            logger.error("%s %s stays\n%s", kind, item["metadata"]["name"], error)
    return found


def reap(cluster: Cluster, renewals: Renewals) -> int:
    """Delete them; the number deleted.

    Raises:
        PrerequisiteError: a kind could not be looked at; the others were.
    """
    num_deleted = 0
    faults: list[SpicaError] = []
    for kind in KINDS:
        try:
            for item in orphans(cluster, renewals, kind):
                num_deleted += _delete(cluster, item)
        except SpicaError as error:
            faults.append(error)
    if faults:
        raise faults[0]
    return num_deleted


def _delete(cluster: Cluster, item: Object) -> int:
    kind, metadata = item["kind"], item["metadata"]
    # Changed meanwhile: another run may just have taken it up.
    with suppress(ConflictError):
        cluster.delete(kind, metadata["name"], resourceVersion=metadata["resourceVersion"])
        owners = ", ".join(_owners(item))
        logger.warning("%s %s: nobody owns it any more (%s); deleted", kind, metadata["name"], owners)
        return 1
    return 0


def _owners(item: Object) -> list[str]:
    metadata = item["metadata"]
    if item["kind"] == "Lease":
        return [f"Lease/{metadata['namespace']}/{metadata['name']}"]
    return owners_of(item)


def _ended(item: Object) -> bool:
    conditions = (item.get("status") or {}).get("conditions", ())
    done = any(c["type"] in ("Succeeded", "Failed") and c["status"] == "True" for c in conditions)
    return done or "deletionTimestamp" in item["metadata"]


def main() -> None:
    """Look for ever."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--every", type=float, default=10.0, help="seconds between two looks")
    parser.add_argument("--alive", type=Path, default=Path("/tmp/alive"), help="touched after each look")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(asctime)s %(message)s")
    cluster, renewals = Cluster.connect(), Renewals()
    while True:
        try:
            reap(cluster, renewals)
        except SpicaError as error:
            logger.error("%s", error)
        # A look that failed is one, too: started anew, it would only forget which leases it saw renewed.
        arguments.alive.touch()
        time.sleep(arguments.every)


if __name__ == "__main__":
    main()

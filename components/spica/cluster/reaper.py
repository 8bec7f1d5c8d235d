"""Ends what no living run owns: `python -m spica.cluster.reaper [--every 10]`.

A run that was cancelled, or whose client died, may leave jobs and servers behind, and they hold GPUs. Each
carries the name of its owner; the reaper looks every few seconds and deletes what belongs to nobody.
"""

import argparse
import logging
import sys
import time
from pathlib import Path

from spica.cluster.api import Cluster, Object
from spica.cluster.owner import is_alive
from spica.errors import SpicaError

KINDS = ("PyTorchJob", "InferenceService")
"""In the order in which they are ended: a training holds the most GPUs."""
OURS = {"app.kubernetes.io/part-of": "spica"}
OWNER = "spica.dev/owner"

logger = logging.getLogger("spica.cluster.reaper")


def orphans(cluster: Cluster) -> list[Object]:
    """Objects of this namespace whose owner is gone, but nothing that ended by itself or never had one.

    Raises:
        PrerequisiteError: the cluster does not answer: who is not known to be dead is left alone.
    """
    found = []
    for kind in KINDS:
        for item in cluster.list(kind, OURS):
            owner = item["metadata"].get("annotations", {}).get(OWNER)
            if owner and not _ended(item) and not is_alive(cluster, owner):
                found.append(item)
    return found


def reap(cluster: Cluster) -> int:
    """Delete them; the number deleted."""
    dead = orphans(cluster)
    for item in dead:
        kind, name, owner = item["kind"], item["metadata"]["name"], item["metadata"]["annotations"][OWNER]
        logger.warning("%s %s: its owner %s is gone; deleted", kind, name, owner)
        cluster.delete(kind, name)
    return len(dead)


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
    cluster = Cluster.connect()
    while True:
        try:
            reap(cluster)
            arguments.alive.touch()
        except SpicaError as error:
            logger.error("%s", error)
        time.sleep(arguments.every)


if __name__ == "__main__":
    main()

"""Whether a queue has nodes of a pool at all: a pod that asks another one for them would wait for ever."""

from spica.cluster.api import Cluster
from spica.errors import Fault, PrerequisiteError
from spica.recipe.schema import Pods

POOL = "spica.dev/pool"


def require_pool(cluster: Cluster, pods: Pods) -> None:
    """Compare the pool with the flavors that Kueue lists in the status of the LocalQueue.

    What Kueue says of a waiting job does not tell a missing pool from a taken one: it names whatever flavor
    did not match, and sometimes nothing else. A queue that is not there or lists no flavors is left to Kueue.

    Raises:
        PrerequisiteError: no flavor of the queue is of this pool.
    """
    status = (cluster.get("LocalQueue", pods.queue) or {}).get("status") or {}
    flavors = {flavor["name"]: flavor.get("nodeLabels") or {} for flavor in status.get("flavors") or ()}
    # A flavor without the label is of any nodes.
    if flavors and all(labels.get(POOL, pods.node_pool) != pods.node_pool for labels in flavors.values()):
        found = f"flavors {', '.join(flavors)}: none has nodes with {POOL}={pods.node_pool}"
        advice = "name another `node_pool` in the profile, or have a flavor added: `spica doctor --cluster`"
        raise PrerequisiteError(
            Fault(f"queue {pods.queue}", found, f"a flavor of pool {pods.node_pool}", advice)
        )

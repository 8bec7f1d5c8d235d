"""The command that starts the ranks of one node."""

import os
import sys
from collections.abc import Mapping, Sequence

from spica.cluster.order import Order
from spica.launch.ranks import rank_environment


def torchrun(order: Order, node_rank: int, arguments: Sequence[str]) -> list[str]:
    """Start the order's module by torchrun; nodes meet at MASTER_ADDR, which the operator sets."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(order.ranks_per_node)]
    if order.num_nodes == 1:
        command += ["--standalone", "--local-addr", "127.0.0.1"]
    else:
        command += ["--nnodes", str(order.num_nodes), "--node-rank", str(node_rank)]
        command += ["--master-addr", os.environ["MASTER_ADDR"], "--master-port", os.environ["MASTER_PORT"]]
    return [*command, "-m", order.module, *arguments]


def environment(order: Order) -> Mapping[str, str]:
    """That of this process and the ranks' own."""
    return {**os.environ, **rank_environment(order.threads_per_rank)}

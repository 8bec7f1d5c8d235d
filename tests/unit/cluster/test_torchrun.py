import os
import socket
import subprocess
import sys

from spica.cluster.torchrun import environment

from .orders import order_of

RAISES = "print('sft step 1', flush=True); raise ValueError('row 1 is odd')"


def test_a_rank_writes_each_line_at_once_so_that_those_of_others_cannot_mix_in() -> None:
    # Each message of such a socket is one write of the rank.
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        changes = environment(order_of("virgo-72b", "cluster64"))
        command = [sys.executable, "-c", RAISES]
        subprocess.run(command, stdout=theirs, stderr=theirs, env={**os.environ, **changes}, timeout=60)
        theirs.shutdown(socket.SHUT_WR)
        writes = list(iter(lambda: ours.recv(4096), b""))
    assert writes[0] == b"sft step 1\n"
    assert writes[-1] == b"ValueError: row 1 is odd\n"

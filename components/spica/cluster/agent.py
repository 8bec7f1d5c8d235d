"""What a pod of a training runs: `python -m spica.cluster.agent ORDER`.

Inputs come from the store, torchrun starts the ranks of this node, node 0 copies checkpoints to the store as
they appear and delivers the result. SIGTERM reaches every rank: they save together, and the copy is made
before the pod ends. Exit codes, for restartPolicy ExitCode (128 and above: the operator makes the pod anew,
and the gang goes on from the last checkpoint):

    0     done
    1     a fault that another try would meet again; error.json in the store says which
    138   a peer was lost, or a crash that has not yet repeated itself often enough
    143   stopped by SIGTERM, everything is saved
"""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import uuid
from collections import deque
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from spica.artifacts.disk import disk_faults
from spica.artifacts.names import MANIFEST_NAME
from spica.artifacts.s3_store import S3Store
from spica.artifacts.shelf import Shelf
from spica.artifacts.workspace import state_folder, work_folder
from spica.cluster.order import Order, s3_store
from spica.errors import Fault, PrerequisiteError, SpicaError, StageError
from spica.launch.contract import Training
from spica.launch.processes import descendants, kill

DONE, PERMANENT, RETRY, PREEMPTED = 0, 1, 138, 143
COPY_EVERY_S = 1.0
"""A checkpoint is in the store about a second after it is written."""
RESULT, DELIVERY, ERROR, SAVED = "result.json", "delivery.json", "error.json", "preempted.json"
ENDINGS = (RESULT, DELIVERY, ERROR, SAVED)
"""How a training ended: what its ranks leave, and what node 0 adds."""
CHECKPOINTS, CRASHES = "checkpoints", "crashes"
NUM_LINES = 200

_CHECKPOINT = re.compile(rf"{CHECKPOINTS}/step-\d{{8}}/{re.escape(MANIFEST_NAME)}")
_PEER_LOST = re.compile(
    r"connection (?:closed|reset) by peer|broken pipe|connection refused|socket (?:closed|timeout)|"
    r"ncclremoteerror|remote process exited|heartbeat.*(?:timed out|failed)|watchdog.*timeout|"
    r"timed out waiting|pair closure|rendezvous\w*(?:timeout|connection)error|dist(?:network|store)error",
    re.IGNORECASE,
)
_ERROR_LINE = re.compile(r"^(?:\[rank\d+\]: ?)?((?:[A-Za-z_]\w*\.)*\w*(?:Error|Exception|Interrupt)\b.*)$")


class Node:
    """This pod's part of a training."""

    def __init__(self, order: Order, rank: int, store: S3Store) -> None:
        """`rank` is the node's; node 0 writes."""
        self.order = order
        self.rank = rank
        self.store = store
        self.shelf: Shelf = store.job_shelf(order.task, order.key)
        folder = work_folder(state_folder(), order.task, order.key)
        self.out, self.scratch = folder / "files", folder / "scratch"
        self._torchrun: subprocess.Popen[str] | None = None
        self._terminated = False
        self._step = 0
        self._last: deque[str] = deque(maxlen=NUM_LINES)

    def run(self) -> int:
        """Take part until the training ends; the exit code."""
        try:
            try:
                with disk_faults(self.scratch):
                    return self._take_part()
            except SpicaError as error:
                print(error, file=sys.stderr, flush=True)
                return self._refuse(error)
        except PrerequisiteError as error:
            print(f"not counted, not told: {error}", file=sys.stderr, flush=True)
            return RETRY

    def terminate(self, _number: int, _frame: FrameType | None) -> None:
        """Ask every rank to save; torchrun itself is not told: it would give them 30 s and no more."""
        self._terminated = True
        if self._torchrun is None:
            # Inputs are being fetched, for hours perhaps; the store has all that is worth keeping.
            os._exit(PREEMPTED)
        if not kill(descendants(self._torchrun.pid), signal.SIGTERM):
            self._torchrun.terminate()

    def _take_part(self) -> int:
        self._restore()
        command = self._command()
        with self.shelf.kept(self.scratch, COPY_EVERY_S) if self.rank == 0 else nullcontext():
            code = self._train(command)
            ending = self._ending(code)
            if ending == DONE and self.rank == 0:
                delivery = self.store.deliver(self.order.task, self.order.key, self.out)
                (self.scratch / DELIVERY).write_text(delivery.model_dump_json(), encoding="utf-8")
        if ending == RETRY:
            signature = crash_signature(self._last)
            if signature is None:
                print(f"node {self.rank}: a peer was lost; the gang starts again", flush=True)
                return RETRY
            return self._count_crash(signature)
        if ending == PERMANENT and self.rank != 0:
            self.shelf.put(self.scratch, ERROR)
        return ending

    def _restore(self) -> None:
        """Begin with what the store keeps: on node 0 all of it, elsewhere the newest whole checkpoint."""
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir(parents=True)
        self.scratch.mkdir(exist_ok=True)
        if self.rank == 0:
            # An earlier ending is none of this training: nobody may read it as one.
            self.shelf.drop(ENDINGS)
        for name in ENDINGS:
            (self.scratch / name).unlink(missing_ok=True)
        manifests = {name for name in self.shelf.names() if name.endswith(f"/{MANIFEST_NAME}")}

        whole = sorted(name.rpartition("/")[0] for name in manifests if _CHECKPOINT.fullmatch(name))
        if self.rank != 0:
            whole = whole[-1:]

        def is_wanted(name: str) -> bool:
            if name.startswith(f"{CHECKPOINTS}/"):
                return name.rpartition("/")[0] in whole
            return self.rank == 0 and name not in ENDINGS

        restored = self.shelf.restore(self.scratch, is_wanted)
        self._step = _newest_step(self.scratch)
        print(f"node {self.rank}: {len(restored)} files of scratch fetched, step {self._step}", flush=True)

    def _command(self) -> list[str]:
        order = self.order
        inputs: dict[str, Path] = {}
        for name, reference in order.inputs.items():
            inputs[name] = self.store.resolve(reference, f"input {name}").path
            print(f"node {self.rank}: input {name} verified", flush=True)
        slice_file = self.scratch / "slice.json"
        slice_file.write_text(order.slice, encoding="utf-8")
        torchrun = [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--nproc-per-node",
            str(order.ranks_per_node),
        ]
        if order.num_nodes == 1:
            torchrun += ["--standalone", "--local-addr", "127.0.0.1"]
        else:
            torchrun += ["--nnodes", str(order.num_nodes), "--node-rank", str(self.rank)]
            torchrun += [
                "--master-addr",
                os.environ["MASTER_ADDR"],
                "--master-port",
                os.environ["MASTER_PORT"],
            ]
        arguments = Training.arguments(slice_file, inputs, self.out, self.scratch)
        return [*torchrun, "-m", order.module, *arguments]

    def _train(self, command: list[str]) -> int:
        environment = {"OMP_NUM_THREADS": str(self.order.threads_per_rank), "PYTHONUNBUFFERED": "1"}
        if not Path("/dev/nvidiactl").exists():
            environment["DS_ACCELERATOR"] = "cpu"
        with subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as self._torchrun:
            assert self._torchrun.stdout is not None
            for line in self._torchrun.stdout:
                self._last.append(line.rstrip())
                print(line, end="", flush=True)
        return self._torchrun.returncode

    def _ending(self, code: int) -> int:
        """What the ranks left behind counts: torchrun's code is 1 for anything, even for a finished run."""
        left = {name for name in ENDINGS if (self.scratch / name).exists()}
        if RESULT in left or (code == 0 and self.rank != 0):
            return DONE
        if ERROR in left:
            return PERMANENT
        if SAVED in left or self._terminated:
            return PREEMPTED
        return RETRY

    def _refuse(self, error: SpicaError) -> int:
        """What another try may meet mended (a store, a disk) is a crash like others; the rest is final."""
        if isinstance(error, PrerequisiteError):
            fault = error.faults[0]
            return self._count_crash(f"{fault.where}: {fault.found}")
        return self._give_up(error)

    def _count_crash(self, signature: str) -> int:
        """Retry, unless the same crash of this node came from the same step often enough."""
        digest = hashlib.sha256(signature.encode()).hexdigest()[:8]
        kind = f"{CRASHES}/{self._step:08d}-node-{self.rank}-{digest}"
        name = f"{kind}-{uuid.uuid4().hex}.json"
        _write(self.scratch / name, {"step": self._step, "node": self.rank, "error": signature})
        self.shelf.put(self.scratch, name)
        crashes = [name for name in self.shelf.names() if name.startswith(f"{CRASHES}/")]
        times, allowed = sum(name.startswith(kind) for name in crashes), self.order.max_crashes
        print(
            f"node {self.rank}: crash {times} of {allowed} at step {self._step}: {signature}",
            flush=True,
        )
        if times < allowed:
            return RETRY
        # Whoever runs the task again has mended something: the count begins anew.
        self.shelf.drop(crashes)
        return self._give_up(
            StageError(
                Fault(
                    f"{self.order.task} from step {self._step}",
                    f"{times} times: {signature}",
                    "a training that goes on",
                    "look at the log of the pod; the checkpoint is kept, a mended run goes on from it",
                )
            )
        )

    def _give_up(self, error: SpicaError) -> int:
        faults = [fault._asdict() for fault in error.faults]
        _write(self.scratch / ERROR, {"type": type(error).__name__, "faults": faults})
        self.shelf.put(self.scratch, ERROR)
        return PERMANENT


def crash_signature(lines: Sequence[str]) -> str | None:
    """The error that ended the ranks, without what differs between two times; None where a peer was lost."""
    errors = [found[1] for line in lines if (found := _ERROR_LINE.match(line))]
    causes = [error for error in errors if not _PEER_LOST.search(error) and "ChildFailedError" not in error]
    if not causes:
        lost = any(_PEER_LOST.search(line) for line in lines)
        return None if lost else "the ranks ended without a word (killed, out of memory?)"
    return re.sub(r"0x[0-9a-f]+|\d+", "N", causes[0])[:300]


def _newest_step(scratch: Path) -> int:
    whole = scratch.glob(f"{CHECKPOINTS}/step-{'[0-9]' * 8}/{MANIFEST_NAME}")
    return max((int(path.parent.name.removeprefix("step-")) for path in whole), default=0)


def _write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def main() -> NoReturn:
    """Run one node."""
    order = Order.model_validate_json(sys.argv[1])
    node_rank = int(os.environ.get("PET_NODE_RANK", "0"))
    try:
        node = Node(order, node_rank, s3_store(order.store))
    except SpicaError as error:
        sys.exit(str(error))
    signal.signal(signal.SIGTERM, node.terminate)
    code = node.run()
    print(f"node {node_rank}: exit {code}", flush=True)
    sys.exit(code)


if __name__ == "__main__":
    main()

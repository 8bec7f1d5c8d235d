"""What a pod of a training runs: `python -m spica.cluster.agent ORDER`.

Inputs come from the store, torchrun starts the ranks of this node, node 0 copies checkpoints to the store as
they appear and delivers the result; the others stay until it has. SIGTERM reaches every rank: they save
together, and the copy is made before the pod ends. Exit codes, for restartPolicy ExitCode (128 and above: the
operator makes the pod anew, and the gang goes on from the last checkpoint):

    0     done
    1     a fault that another try would meet again; error.json in the store says which
    138   a peer was lost, or a crash that has not yet repeated itself often enough (`spica.cluster.records`)
    143   stopped by SIGTERM, everything is saved
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import nullcontext, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from spica.artifacts.disk import disk_faults
from spica.artifacts.s3_faults import is_refused
from spica.artifacts.s3_store import S3Store
from spica.artifacts.workspace import state_folder, work_folder
from spica.cluster.crash import LastWords
from spica.cluster.endings import DELIVERY, ENDINGS, ERROR, RESULT, SAVED
from spica.cluster.order import Order, require_code, s3_store
from spica.cluster.records import (
    CHECKPOINTS,
    Records,
    attempts,
    newest_step,
    record_names,
    whole_checkpoints,
)
from spica.cluster.torchrun import environment, torchrun
from spica.errors import PrerequisiteError, SpicaError, StageError
from spica.launch.contract import Training
from spica.launch.processes import descendants, kill

DONE, PERMANENT, RETRY, PREEMPTED = 0, 1, 138, 143
COPY_EVERY_S = 1.0
"""A checkpoint is in the store about a second after it is written."""
LOOK_EVERY_S = 2.0
LOOK_FOR_RANKS_EVERY_S = 0.1
DELIVERY_WAIT_S = 3600.0
"""Longest time that other nodes stay for node 0 to deliver."""
STORE_PATIENCE_S = 600.0
"""Longest time that a store may be away; a pod made anew would wait for it no better."""
NUM_CHECKPOINTS = 2
"""Checkpoints that nodes other than 0 begin with: one that is damaged is passed over for the one before."""


class Node:
    """This pod's part of a training."""

    def __init__(self, order: Order, rank: int, store: S3Store) -> None:
        """`rank` is the node's; node 0 writes."""
        self.order = order
        self.rank = rank
        self.store = store
        self.shelf = store.job_shelf(order.task, order.key)
        self.records = Records(self.shelf, order.task, rank, order.max_crashes)
        folder = work_folder(state_folder(), order.task, order.key)
        self.out, self.scratch = folder / "files", folder / "scratch"
        self._torchrun: subprocess.Popen[str] | None = None
        self._terminated = False
        self._gang: set[str] | None = None
        """On nodes other than 0: attempts that had begun when the ranks of this node ran."""
        self._words = LastWords()

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
            # Pods made anew would meet the same store, and nothing could count them.
            print(f"the store cannot be told: {error}", file=sys.stderr, flush=True)
            return PERMANENT

    def terminate(self, _number: int, _frame: FrameType | None) -> None:
        """Ask every rank to save; torchrun itself is not told: it would give them 30 s and no more."""
        self._terminated = True
        if self._torchrun is None:
            # Inputs are being fetched, for hours perhaps; the store has all that is worth keeping. In a
            # thread: this one may have been interrupted where it holds the connection.
            threading.Thread(target=self._leave, daemon=True).start()
        elif self._torchrun.poll() is None and not kill(descendants(self._torchrun.pid), signal.SIGTERM):
            self._torchrun.terminate()

    def _leave(self) -> NoReturn:
        try:
            self.records.withdraw()
        finally:
            os._exit(PREEMPTED)

    def _take_part(self) -> int:
        require_code(self.order)
        if DELIVERY in self.shelf.names():
            print(f"node {self.rank}: the result is delivered already", flush=True)
            return DONE
        if self.rank == 0:
            self.shelf.claim()
            self.records.begin()
        inputs = self._fetch_inputs()
        # As late as possible: node 0 of the gang before may still be copying its last checkpoint.
        self._restore()
        command = self._command(inputs)
        with self.shelf.kept(self.scratch, COPY_EVERY_S) if self.rank == 0 else nullcontext():
            ending = self._ending(self._train(command))
            delivers = ending == DONE and self.rank == 0
            delivery = self.store.deliver(self.order.task, self.order.key, self.out) if delivers else None
        if delivery:
            # After all else: a delivery without its result could never be published, nor made again.
            self.shelf.write(DELIVERY, delivery.model_dump_json().encode())
        return self._conclude(ending)

    def _conclude(self, ending: int) -> int:
        if ending == RETRY and self._terminated:
            # The last copy may have taken minutes; the pods of a gang are not told at the same moment.
            ending = PREEMPTED
        if ending == RETRY:
            signature = self._words.signature()
            if signature is not None:
                return self._count_crash(signature)
            self.records.end("a peer was lost")
            print(f"node {self.rank}: a peer was lost; the gang starts again", flush=True)
        elif ending == PREEMPTED:
            self.records.withdraw()
        elif self.rank != 0:
            if ending == DONE:
                return self._await_delivery()
            self.shelf.write(ERROR, (self.scratch / ERROR).read_bytes())
        return ending

    def _await_delivery(self) -> int:
        """Stay for node 0: without this node its successor could not form the gang again."""
        gang = attempts(self.shelf.names()) if self._gang is None else self._gang
        limit = time.monotonic() + DELIVERY_WAIT_S
        while time.monotonic() < limit:
            names = self.shelf.names()
            if DELIVERY in names:
                return DONE
            if self._terminated:
                return PREEMPTED
            if attempts(names) - gang:
                print(f"node {self.rank}: node 0 has started again before it delivered", flush=True)
                return RETRY
            time.sleep(LOOK_EVERY_S)
        print(f"node {self.rank}: node 0 delivered nothing in {DELIVERY_WAIT_S:.0f} s", flush=True)
        return RETRY

    def _restore(self) -> None:
        """Begin with what the store keeps: on node 0 all of it, elsewhere the newest whole checkpoints."""
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir(parents=True)
        self.scratch.mkdir(exist_ok=True)
        if self.rank == 0:
            # Of an attempt before this one. A worker may have left its error just now.
            self.shelf.drop((RESULT, SAVED))
        for name in ENDINGS:
            (self.scratch / name).unlink(missing_ok=True)
        names = self.shelf.names()
        whole = whole_checkpoints(names)
        if self.rank != 0:
            whole = whole[-NUM_CHECKPOINTS:]
        apart = {*ENDINGS, *record_names(names)}

        def is_wanted(name: str) -> bool:
            if name.startswith(f"{CHECKPOINTS}/"):
                return name.rpartition("/")[0] in whole
            return self.rank == 0 and name not in apart

        restored = self.shelf.restore(self.scratch, is_wanted)
        newest = newest_step(names)
        print(f"node {self.rank}: {len(restored)} files of scratch fetched, step {newest}", flush=True)

    def _fetch_inputs(self) -> dict[str, Path]:
        inputs: dict[str, Path] = {}
        for name, reference in self.order.inputs.items():
            inputs[name] = self.store.resolve(reference, f"input {name}").path
            print(f"node {self.rank}: input {name} verified", flush=True)
        return inputs

    def _command(self, inputs: dict[str, Path]) -> list[str]:
        slice_file = self.scratch / "slice.json"
        slice_file.write_text(self.order.slice, encoding="utf-8")
        arguments = Training.arguments(slice_file, inputs, self.out, self.scratch)
        return torchrun(self.order, self.rank, arguments)

    def _train(self, command: list[str]) -> int:
        with subprocess.Popen(
            command,
            env=environment(self.order),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as self._torchrun:
            assert self._torchrun.stdout is not None
            if self.rank != 0:
                threading.Thread(target=self._note_gang, args=(self._torchrun,), daemon=True).start()
            for line in self._torchrun.stdout:
                self._words.hear(line.rstrip())
                print(line, end="", flush=True)
        return self._torchrun.returncode

    def _note_gang(self, process: subprocess.Popen[str]) -> None:
        """Ranks run once the gang is formed; when they have ended, node 0 may have begun another attempt."""
        while process.poll() is None:
            if descendants(process.pid):
                with suppress(PrerequisiteError):
                    self._gang = attempts(self.shelf.names())
                return
            time.sleep(LOOK_FOR_RANKS_EVERY_S)

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
        if not isinstance(error, PrerequisiteError) or is_refused(error):
            return self._give_up(error)
        self._wait_for_store()
        return self._count_crash(f"{error.faults[0].where}: {error.faults[0].found}")

    def _wait_for_store(self) -> None:
        """Return as soon as the store answers and has what only this disk holds."""
        limit = time.monotonic() + STORE_PATIENCE_S
        while True:
            try:
                self.shelf.names()
                if self.rank == 0:
                    self.shelf.save(self.scratch)
                return
            except PrerequisiteError as error:
                if is_refused(error) or time.monotonic() > limit:
                    raise
            time.sleep(LOOK_EVERY_S)

    def _count_crash(self, signature: str) -> int:
        try:
            self.records.crash(signature)
        except StageError as error:
            print(error, file=sys.stderr, flush=True)
            return self._give_up(error)
        return RETRY

    def _give_up(self, error: SpicaError) -> int:
        faults = [fault._asdict() for fault in error.faults]
        self.shelf.write(ERROR, json.dumps({"type": type(error).__name__, "faults": faults}).encode())
        return PERMANENT


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

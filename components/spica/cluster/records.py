"""What attempts at a training leave on its shelf, so that no way to end it can repeat itself for ever.

    attempts/STEP-NUMBER-ID.json            the gang was formed at that step; how it ended, if that was told
    crashes/STEP-node-RANK-DIGEST-ID.json   the ranks of a node crashed with this error

The operator starts pods again as often as they ask for it. An error that repeats itself is final after
`max_crashes`; what leaves no error (a peer lost, a pod out of memory, a node gone) after ATTEMPTS_PER_CRASH
times as many attempts that brought no newer checkpoint. An attempt that was preempted does not count.
"""

import hashlib
import json
import re
import uuid
from collections.abc import Iterable

from spica.artifacts.names import MANIFEST_NAME
from spica.artifacts.shelf import Shelf
from spica.errors import Fault, StageError

ATTEMPTS, CRASHES, CHECKPOINTS = "attempts", "crashes", "checkpoints"
ATTEMPTS_PER_CRASH = 3
_CHECKPOINT = re.compile(rf"({CHECKPOINTS}/step-(\d{{8}}))/{re.escape(MANIFEST_NAME)}")


def whole_checkpoints(names: Iterable[str]) -> list[str]:
    """Folders of the checkpoints that have their manifest, oldest first."""
    return sorted(found[1] for name in names if (found := _CHECKPOINT.fullmatch(name)))


def newest_step(names: Iterable[str]) -> int:
    """Step of the newest of these checkpoints, 0 without one."""
    return max((int(found[2]) for name in names if (found := _CHECKPOINT.fullmatch(name))), default=0)


def record_names(names: Iterable[str]) -> set[str]:
    """Those names that are records."""
    return {name for name in names if name.startswith((f"{ATTEMPTS}/", f"{CRASHES}/"))}


def attempts(names: Iterable[str]) -> set[str]:
    """Those names that are records of attempts: a new one says that node 0 has started again."""
    return {name for name in names if name.startswith(f"{ATTEMPTS}/")}


class Records:
    """The records of one training, as one node writes them."""

    def __init__(self, shelf: Shelf, task: str, node: int, max_crashes: int) -> None:
        """`max_crashes` equal crashes at one step are final."""
        self._shelf = shelf
        self._task = task
        self._node = node
        self._max_crashes = max_crashes
        self._attempt: str | None = None

    def begin(self) -> None:
        """Note that the gang is formed (node 0).

        Raises:
            PrerequisiteError: the store cannot be reached.
            StageError: it was formed often enough without a newer checkpoint.
        """
        names = self._shelf.names()
        step = newest_step(names)
        begun = sorted(name for name in attempts(names) if name.startswith(f"{ATTEMPTS}/{step:08d}-"))
        if len(begun) >= ATTEMPTS_PER_CRASH * self._max_crashes:
            last = self._shelf.read(begun[-1]) or b"null"
            ending = json.loads(last) or "its node or its memory ended without a word"
            raise self._final(
                step, f"{len(begun)} attempts brought no newer checkpoint; the last one: {ending}"
            )
        self._attempt = f"{ATTEMPTS}/{step:08d}-{len(begun) + 1:04d}-{uuid.uuid4().hex}.json"
        self._shelf.write(self._attempt, b"null")

    def end(self, how: str) -> None:
        """Note how the attempt ended; only node 0 began one.

        Raises:
            PrerequisiteError: the store cannot be reached.
        """
        if self._attempt:
            self._shelf.write(self._attempt, json.dumps(how).encode())

    def withdraw(self) -> None:
        """Take the attempt off: it was preempted.

        Raises:
            PrerequisiteError: the store cannot be reached.
        """
        if self._attempt:
            self._shelf.drop([self._attempt])

    def crash(self, error: str) -> None:
        """Note a crash of this node.

        Raises:
            PrerequisiteError: the store cannot be reached.
            StageError: the same one came from the same step often enough.
        """
        self.end(error)
        step = newest_step(self._shelf.names())
        kind = f"{CRASHES}/{step:08d}-node-{self._node}-{hashlib.sha256(error.encode()).hexdigest()[:8]}-"
        self._shelf.write(f"{kind}{uuid.uuid4().hex}.json", json.dumps(error).encode())
        times = sum(name.startswith(kind) for name in self._shelf.names())
        print(f"node {self._node}: crash {times} of {self._max_crashes} at step {step}: {error}", flush=True)
        if times >= self._max_crashes:
            raise self._final(step, f"{times} times: {error}")

    def _final(self, step: int, found: str) -> StageError:
        # Whoever runs the task again has mended something: the count begins anew.
        self._shelf.drop(record_names(self._shelf.names()))
        advice = "look at the log of the pods; the checkpoint is kept, a mended run goes on from it"
        where = f"{self._task} from step {step}"
        return StageError(Fault(where, found, "a training that goes on", advice))

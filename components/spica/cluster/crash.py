"""What ended the ranks of a node, read off their lines as they come."""

import re

_PROGRESS = re.compile(r"sft .* step \d+/\d+ ")
_PEER_LOST = re.compile(
    r"connection (?:closed|reset) by (?:remote )?peer|broken pipe|connection refused|"
    r"socket (?:closed|timeout)|ncclremoteerror|remote process exited|heartbeat.*(?:timed out|failed)|"
    r"watchdog.*timeout|timed out waiting|pair closure|rendezvous\w*(?:timeout|connection)error|"
    r"dist(?:network|store)error",
    re.IGNORECASE,
)
_ERROR_LINE = re.compile(r"^(?:\[rank\d+\]: ?)?((?:[A-Za-z_]\w*\.)*\w*(?:Error|Exception|Interrupt)\b.*)$")
_CHILD_FAILED = "ChildFailedError"
"""torchrun says so of every rank that failed."""


class LastWords:
    """The first error since training went on, whatever many ranks say about it afterwards.

    A line of progress may still come just after the error of another rank: only the second one proves that
    the error ended nothing.
    """

    def __init__(self) -> None:
        self._causes: list[str] = ["", ""]
        """Before and after the last line of progress."""
        self._is_peer_lost = False

    def hear(self, line: str) -> None:
        """Take note of one line."""
        if _PROGRESS.match(line):
            self._causes = [self._causes[1], ""]
            self._is_peer_lost = False
        elif _PEER_LOST.search(line):
            self._is_peer_lost = True
        elif (error := _ERROR_LINE.match(line)) and _CHILD_FAILED not in line and not self._causes[1]:
            self._causes[1] = error[1]

    def signature(self) -> str | None:
        """The error without what differs between two times; None where a peer was lost."""
        before, after = self._causes
        if cause := after or before:
            return re.sub(r"0x[0-9a-f]+|\d+", "N", cause)[:300]
        return None if self._is_peer_lost else "the ranks ended without a word (killed, out of memory?)"

"""How a training ended, as its pods leave it on the shelf for whoever waits for the job."""

from spica.artifacts.shelf import Shelf
from spica.cluster.records import record_names

RESULT, DELIVERY, ERROR, SAVED = "result.json", "delivery.json", "error.json", "preempted.json"
ENDINGS = (RESULT, DELIVERY, ERROR, SAVED)
"""What the ranks leave, and what node 0 adds."""


def forget_endings(shelf: Shelf) -> None:
    """Drop what an earlier job of this task and key left: how it ended, how often it was tried.

    Whoever makes a job does so just before: its pods take every ending on the shelf for their own. A delivery
    stays: another client's job may have made it since the caller looked.

    Raises:
        PrerequisiteError: the store cannot be reached.
    """
    shelf.drop([RESULT, ERROR, SAVED, *record_names(shelf.names())])

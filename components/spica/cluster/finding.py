"""One line of `spica doctor`."""

from enum import StrEnum
from typing import NamedTuple


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    FAULT = "fault"
    UNSEEN = "unseen"
    """This account may not look, or a person must judge."""


class Finding(NamedTuple):
    """What was looked at, what was found, and what to do about it."""

    check: str
    state: State
    found: str
    next: str = ""

    def __str__(self) -> str:
        line = f"{self.state:<6} {self.check}: {self.found}"
        return line if self.state is State.OK else f"{line}\n       next: {self.next}"

"""Every error that Spica raises for a person to read.

SpicaError                 exit 1
├── RecipeError            exit 2   the recipe is wrong (all faults at once)
├── PrerequisiteError      exit 3   something outside is missing: package, port, disk, credentials
│   └── LockedError                 somebody else holds the run or the artifact's work folder
└── StageError             exit 1   a stage could not finish
    ├── DataError                   bad rows, pictures, answers beyond what may be quarantined
    ├── EndpointError               a model server refused, vanished or answered nonsense
    ├── IntegrityError              an artifact's bytes differ from its manifest
    └── ConflictError               two writers published different bytes under one name
"""

from collections.abc import Sequence
from typing import NamedTuple


class Fault(NamedTuple):
    """One thing that is wrong, in the four parts a reader needs."""

    where: str
    found: str
    allowed: str
    next: str

    def __str__(self) -> str:
        return f"{self.where}\n  found:   {self.found}\n  allowed: {self.allowed}\n  next:    {self.next}"


class SpicaError(Exception):
    """Carries one or more faults; the CLI prints them without a traceback and exits with `exit_code`."""

    exit_code = 1

    def __init__(self, *faults: Fault) -> None:
        self.faults: Sequence[Fault] = faults
        super().__init__("\n".join(str(fault) for fault in faults))


class RecipeError(SpicaError):
    """The recipe (or a value given in its place) is not valid."""

    exit_code = 2


class PrerequisiteError(SpicaError):
    """The machine, the network or an account lacks something that must be there before the work starts."""

    exit_code = 3


class LockedError(PrerequisiteError):
    """Another live process holds what was asked for."""


class StageError(SpicaError):
    """A stage could not finish; what it did so far is kept and the next run goes on from there."""


class DataError(StageError):
    """Input rows, pictures or answers that cannot be used."""


class EndpointError(StageError):
    """A model endpoint that refused, vanished, or answered something that is no answer."""


class IntegrityError(StageError):
    """Bytes that differ from the manifest that names them."""


class ConflictError(StageError):
    """A name that already holds different bytes."""

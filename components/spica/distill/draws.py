"""What is to be drawn, and with which seed."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from spica.artifacts.types import PromptRow
from spica.recipe.slices import DistillSlice


@dataclass(frozen=True)
class Draw:
    """One rollout to be drawn."""

    row: PromptRow
    index: int

    @property
    def name(self) -> str:
        """Names the request in errors."""
        return f"{self.row.id}#{self.index}"


def plan(slice: DistillSlice, rows: Sequence[PromptRow]) -> list[Draw]:
    """Every rollout in canonical order: questions as given, then rollout index."""
    return [Draw(row, index) for row in rows for index in range(slice.rollouts.num_rollouts)]


def request_seed(seed: int, row_id: str, index: int) -> int:
    """The sampling seed of one rollout, 31 bits, the same whatever is asked beside it.

    Siblings are requests of their own, not one request with n answers: only so has each a seed that is known,
    can be asked again alone, and can be cancelled alone.
    """
    return int.from_bytes(hashlib.sha256(f"{seed}/{row_id}/{index}".encode()).digest()[:4]) >> 1

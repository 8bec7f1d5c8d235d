"""How far the rollouts are, in one line."""

import time


class Progress:
    """Counts rollouts, tokens and correct answers since it was made."""

    def __init__(self, num_rollouts: int) -> None:
        self._num_rollouts = num_rollouts
        self._num_done = self._num_correct = self._num_tokens = 0
        self._started = time.monotonic()

    def count(self, num_tokens: int, correct: bool) -> None:
        """Adds one rollout."""
        self._num_done += 1
        self._num_correct += correct
        self._num_tokens += num_tokens

    def line(self) -> str:
        """How it stands: done of all, correct so far, tokens per second, time left."""
        elapsed_s = max(time.monotonic() - self._started, 1e-9)
        left_s = (
            elapsed_s / self._num_done * (self._num_rollouts - self._num_done) if self._num_done else None
        )
        left = "?" if left_s is None else f"{left_s:.0f}"
        return (
            f"rollouts {self._num_done}/{self._num_rollouts}, {self._num_correct} correct, "
            f"{self._num_tokens / elapsed_s:.0f} tokens/s, {left} s left"
        )

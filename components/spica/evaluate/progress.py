"""How far the evaluation is, in one line."""

import time


class Progress:
    """Counts answers and tokens since it was made."""

    def __init__(self, num_questions: int) -> None:
        self._num_questions = num_questions
        self._num_done = self._num_tokens = 0
        self._started = time.monotonic()

    def count(self, num_tokens: int) -> None:
        """Adds one answer."""
        self._num_done += 1
        self._num_tokens += num_tokens

    def line(self) -> str:
        """How it stands: done of all, answers and tokens per second."""
        elapsed_s = max(time.monotonic() - self._started, 1e-9)
        return (
            f"answers {self._num_done}/{self._num_questions}, {self._num_done / elapsed_s:.0f} requests/s, "
            f"{self._num_tokens / elapsed_s:.0f} tokens/s"
        )

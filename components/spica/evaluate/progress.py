"""A line every few seconds that says how far the evaluation is."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

PERIOD_S = 5.0


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

    @asynccontextmanager
    async def lines(self) -> AsyncIterator[None]:
        """Prints a line every PERIOD_S seconds, also while nothing arrives, and one at the end."""

        async def tell() -> None:
            while True:
                await asyncio.sleep(PERIOD_S)
                print(self.line(), flush=True)

        telling = asyncio.create_task(tell())
        try:
            yield
        finally:
            telling.cancel()
            with suppress(asyncio.CancelledError):
                await telling
            print(self.line(), flush=True)

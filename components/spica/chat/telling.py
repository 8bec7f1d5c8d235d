"""A line every few seconds that says how far the asking is."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

PERIOD_S = 5.0


@asynccontextmanager
async def telling(line: Callable[[], str]) -> AsyncIterator[None]:
    """Prints `line()` every PERIOD_S seconds, also while nothing arrives, and once at the end."""

    async def tell() -> None:
        while True:
            await asyncio.sleep(PERIOD_S)
            print(line(), flush=True)

    teller = asyncio.create_task(tell())
    try:
        yield
    finally:
        teller.cancel()
        with suppress(asyncio.CancelledError):
            await teller
        print(line(), flush=True)

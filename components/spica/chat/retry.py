"""When to ask again."""

import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_SHORTEST_WAIT_S = 0.1
_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 30.0


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Seconds to wait by a Retry-After header, seconds or a date (RFC 9110, 10.2.3); None if unreadable."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        date = parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - now).total_seconds())


def backoff_s(num_faults: int) -> float:
    """Seconds to wait after the first, second ... fault of one request: anything up to a doubling limit.

    Full jitter (Brooker, "Exponential backoff and jitter", AWS 2015), but never no pause at all.
    """
    longest = min(_FIRST_WAIT_S * 2 ** (min(num_faults, 32) - 1), _LONGEST_WAIT_S)
    return max(_SHORTEST_WAIT_S, random.uniform(0.0, longest))


def spread_s(wait_s: float) -> float:
    """At least `wait_s`, and a random fraction more, so that those who wait together do not wake together."""
    return wait_s + random.uniform(0.0, max(wait_s / 4, _FIRST_WAIT_S))

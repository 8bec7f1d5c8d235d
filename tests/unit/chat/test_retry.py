from datetime import UTC, datetime

import pytest

from spica.chat.retry import backoff_s, retry_after_s

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("7", 7.0),
        (" 0 ", 0.0),
        ("Sat, 21 Nov 2026 12:00:30 GMT", 30.0),
        ("Sat, 21 Nov 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, expected: float | None) -> None:
    assert retry_after_s(header, NOW) == expected


@pytest.mark.parametrize(("attempt", "longest"), [(1, 0.5), (2, 1.0), (3, 2.0), (7, 30.0), (60, 30.0)])
def test_backoff_doubles_up_to_half_a_minute_with_jitter(attempt: int, longest: float) -> None:
    waits = [backoff_s(attempt) for _ in range(200)]
    assert longest / 2 <= min(waits) < max(waits) <= longest

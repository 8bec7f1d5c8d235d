from datetime import UTC, datetime

import pytest

from spica.chat.retry import backoff_s, retry_after_s, spread_s

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


@pytest.mark.parametrize(("num_faults", "longest"), [(1, 0.5), (2, 1.0), (3, 2.0), (7, 30.0), (6000, 30.0)])
def test_backoff_is_spread_over_all_of_a_doubling_limit(num_faults: int, longest: float) -> None:
    waits = [backoff_s(num_faults) for _ in range(400)]
    assert 0.1 <= min(waits) < longest * 0.3 < longest * 0.7 < max(waits) <= longest


@pytest.mark.parametrize(("asked", "longest"), [(0.0, 0.5), (1.0, 1.5), (60.0, 75.0)])
def test_those_told_to_wait_wake_apart_and_never_early(asked: float, longest: float) -> None:
    waits = [spread_s(asked) for _ in range(400)]
    assert asked <= min(waits) < max(waits) <= longest
    assert max(waits) - min(waits) > (longest - asked) / 2

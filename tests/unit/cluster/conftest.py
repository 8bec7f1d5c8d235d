from typing import Any

import pytest

from spica.artifacts.s3_store import S3Store


@pytest.fixture(scope="session")
def connected(s3_client: Any) -> S3Store:
    # A store keeps its client, and making one takes longer than most tests.
    return S3Store("spica", "runs")


@pytest.fixture
def store(s3: Any, connected: S3Store) -> S3Store:
    """An empty one, s3://spica/runs."""
    return connected

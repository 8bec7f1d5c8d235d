"""A real S3 server on the loopback interface, for every test that keeps something in a bucket."""

import urllib.request
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from spica.artifacts import s3_connection

from ..fakes.s3_server import S3Server


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    server = S3Server()
    yield server
    server.close()


@pytest.fixture(scope="session")
def s3_environment(s3_server: S3Server) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL_S3": s3_server.url,
        "AWS_ACCESS_KEY_ID": "key-id",
        "AWS_SECRET_ACCESS_KEY": "canary-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
    }


@pytest.fixture(scope="session")
def s3_client(s3_environment: dict[str, str]) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3_environment.items():
            patch.setenv(name, value)
        return boto3.session.Session().client("s3")


@pytest.fixture
def s3(
    s3_server: S3Server, s3_environment: dict[str, str], s3_client: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """A client of an emptied server with the bucket `spica`; the environment points there."""
    for name, value in s3_environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(s3_connection, "PATIENCE_S", 0.5)
    s3_client.create_bucket(Bucket="spica")
    yield s3_client
    s3_server.answers.clear()
    urllib.request.urlopen(urllib.request.Request(f"{s3_server.url}/moto-api/reset", method="POST")).close()

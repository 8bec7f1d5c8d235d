"""`spica doctor` tries the store with one small object."""

from collections.abc import Iterator

import boto3
import pytest
from moto.server import ThreadedMotoServer

from spica.cluster.storage_probe import probe
from spica.errors import PrerequisiteError


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    boto3.client("s3").create_bucket(Bucket="doctor-test")
    yield "doctor-test"
    server.stop()


def test_a_good_store_is_left_as_it_was(bucket: str) -> None:
    said = probe(f"s3://{bucket}/some/prefix")

    assert said.startswith("write, conditional write, read, delete at http://127.0.0.1:")
    assert said.endswith("(keys: env)")
    assert boto3.client("s3").list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_a_missing_bucket_is_named_with_the_step_that_failed(bucket: str) -> None:
    with pytest.raises(PrerequisiteError, match=r"write: no such bucket(.|\n)*aws s3 mb s3://absent"):
        probe("s3://absent/prefix")


def test_a_server_that_is_not_there_is_named(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    with pytest.raises(PrerequisiteError, match=r"write: no connection to http://127\.0\.0\.1:9"):
        probe(f"s3://{bucket}/prefix")


def test_an_address_that_is_none_is_named(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "minio:9000")
    with pytest.raises(PrerequisiteError, match=r"client: (.|\n)*correct AWS_ENDPOINT_URL_S3"):
        probe(f"s3://{bucket}/prefix")

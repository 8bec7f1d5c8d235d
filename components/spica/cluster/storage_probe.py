"""Whether a store can be used as Spica uses it."""

import secrets
import socket
from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from spica.artifacts.s3_faults import error_code, s3_faults
from spica.errors import Fault, PrerequisiteError

BODY = b"spica doctor"
CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 2}, connect_timeout=5, read_timeout=20)


def probe(uri: str) -> str:
    """Write, write again under a condition, read and delete one small object below s3://bucket/prefix.

    Returns what was done, and from where with whose keys.

    Raises:
        PrerequisiteError: a step failed; `found` begins with its name.
    """
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    key = f"{prefix.strip('/')}/doctor-{secrets.token_hex(8)}".lstrip("/")
    session = boto3.session.Session()
    client = _step("client", uri, "S3", lambda: session.client("s3", config=CONFIG))
    endpoint = client.meta.endpoint_url
    place = {"Bucket": bucket, "Key": key}

    def refused() -> bool:
        try:
            client.put_object(**place, Body=b"another", IfNoneMatch="*")
        except ClientError as error:
            if error_code(error) in ("PreconditionFailed", "412"):
                return True
            raise
        return False

    _step("write", uri, endpoint, lambda: client.put_object(**place, Body=BODY, IfNoneMatch="*"))
    try:
        if not _step("conditional write", uri, endpoint, refused):
            found = "conditional write: the condition (If-None-Match) was ignored"
            advice = "use a store that keeps two writers apart, such as AWS S3 or MinIO"
            raise PrerequisiteError(Fault(uri, found, "412 for a name that is taken", advice))
        if _step("read", uri, endpoint, lambda: client.get_object(**place)["Body"].read()) != BODY:
            advice = "use a store that gives back what was written"
            raise PrerequisiteError(Fault(uri, "read: other bytes than were written", "the same", advice))
    finally:
        _step("delete", uri, endpoint, lambda: client.delete_object(**place))
    method = getattr(session.get_credentials(), "method", "no credentials")
    return (
        f"write, conditional write, read, delete at {endpoint}, from {socket.gethostname()} (keys: {method})"
    )


def _step(name: str, uri: str, endpoint: str, request: Callable[[], Any]) -> Any:
    try:
        with s3_faults(uri, endpoint):
            return request()
    except PrerequisiteError as error:
        fault = error.faults[0]
        raise PrerequisiteError(fault._replace(found=f"{name}: {fault.found}")) from error
    except ValueError as error:
        advice = "correct AWS_ENDPOINT_URL_S3"
        raise PrerequisiteError(Fault(uri, f"{name}: {error}", "a valid address", advice)) from error

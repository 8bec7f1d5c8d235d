"""What S3 answers, said so that a reader knows what to do next."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from boto3.exceptions import Boto3Error
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
)

from spica.errors import Fault, PrerequisiteError

CREDENTIAL_CODES = (
    "AccessDenied",
    "403",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
)
CREDENTIAL_ERRORS = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError, ProfileNotFound)
CREDENTIALS_REFUSED = "credentials refused by"
"""Begins what such a fault has found; whoever reads the logs of pods looks for it."""
BUSY_CODES = ("SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "500", "502", "503", "504")


def error_code(error: BaseException) -> str:
    """Return the code of an S3 answer ("NoSuchKey", "PreconditionFailed", ...), or "" for other errors."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


@contextmanager
def s3_faults(uri: str, endpoint: str) -> Iterator[None]:
    """Turn what boto3 raises into a PrerequisiteError about `uri` at `endpoint`."""
    try:
        yield
    except (BotoCoreError, ClientError, Boto3Error) as error:
        # The transfer manager wraps the answer that matters.
        cause = error.__cause__ or error.__context__
        answer = cause if isinstance(error, Boto3Error) and cause else error
        raise PrerequisiteError(_fault(uri, endpoint, answer)) from error


def may_pass(error: PrerequisiteError) -> bool:
    """Whether an error that `s3_faults` raised is one of a store that is away or overloaded for a while."""
    answer = _answer(error)
    return error_code(answer) in BUSY_CODES or isinstance(answer, ConnectionError | HTTPClientError)


def is_refused(error: PrerequisiteError) -> bool:
    """Whether an error that `s3_faults` raised stays until somebody mends credentials or bucket."""
    answer = _answer(error)
    return error_code(answer) in (*CREDENTIAL_CODES, "NoSuchBucket") or isinstance(answer, CREDENTIAL_ERRORS)


def _answer(error: PrerequisiteError) -> BaseException:
    """What boto3 raised; the error itself where it was not boto3."""
    raised = error.__cause__
    answer = raised.__cause__ or raised.__context__ if isinstance(raised, Boto3Error) else raised
    return answer or raised or error


def _fault(uri: str, endpoint: str, error: BaseException) -> Fault:
    code = error_code(error)
    again = "then run the same command again"
    if code in CREDENTIAL_CODES or isinstance(error, CREDENTIAL_ERRORS):
        return Fault(
            uri,
            f"{CREDENTIALS_REFUSED} {endpoint}: {code or type(error).__name__}",
            "credentials that may list, read and write there",
            f"{_keys()}, {again}",
        )
    if code == "NoSuchBucket":
        bucket = "/".join(uri.split("/")[:3])
        return Fault(
            uri, f"no such bucket at {endpoint}", "a bucket that exists", f"`aws s3 mb {bucket}`, {again}"
        )
    if code == "RequestTimeTooSkewed":
        allowed = "a clock at most 15 minutes off"
        return Fault(uri, "this machine's clock is wrong", allowed, f"`timedatectl status`, set it, {again}")
    if code == "NotImplemented":
        allowed = "conditional writes (If-None-Match), which keep two writers apart"
        return Fault(
            uri, f"{endpoint} lacks what is asked", allowed, "use a store that has them, such as MinIO"
        )
    if code in BUSY_CODES:
        return Fault(
            uri, f"{endpoint} is overloaded or broken: {code}", "an answer", f"wait a while, {again}"
        )
    if isinstance(error, ConnectionError | HTTPClientError):
        advice = f"check AWS_ENDPOINT_URL_S3 and that the server runs, {again}"
        return Fault(
            uri, f"no connection to {endpoint}: {type(error).__name__}", "a server that answers", advice
        )
    return Fault(
        uri,
        f"{code or type(error).__name__}: {error}",
        "an answer",
        f"check the store at {endpoint}, {again}",
    )


def _keys() -> str:
    """Where the keys of this process are to be mended."""
    names = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        return f"mend {names}; pods of a run have them from the profile's Secret kubernetes.secrets.storage"
    return f"set {names} (or AWS_PROFILE)"

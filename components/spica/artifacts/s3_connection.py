"""The connection to an S3 store: one client, faults in four parts, patience with a store that is away."""

import logging
import os
import random
import time
from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar

import boto3
from botocore.config import Config

from spica.artifacts.s3_faults import may_pass, s3_faults
from spica.errors import PrerequisiteError

PATIENCE_S = 120.0
"""A store that has answered before and is away for a minute (a restart, a failover) ends nothing."""
MAX_PAUSE_S = 5.0
NUM_CONNECTIONS = 32

_answered: set[str] = set()
"""Stores that have answered this process before."""
Result = TypeVar("Result")
logger = logging.getLogger(__name__)


class S3Connection:
    """boto3's client, made at the first request; endpoint, region and keys come from the AWS environment."""

    def __init__(self, uri: str) -> None:
        """`uri` is what an error calls the store."""
        self._uri = uri

    @cached_property
    def client(self) -> Any:
        """boto3's; several threads may use it."""
        config = Config(
            retries={"mode": "standard"},
            max_pool_connections=NUM_CONNECTIONS,
            connect_timeout=10,
            read_timeout=20,
        )
        # The variable of all other tools (KServe's too); boto3 by itself reads AWS_DEFAULT_REGION alone.
        region = os.environ.get("AWS_REGION")
        with s3_faults(self._uri, "AWS"):
            return boto3.session.Session(region_name=region).client("s3", config=config)

    def ask(self, where: str, request: Callable[[Any], Result]) -> Result:
        """Return `request(client)`; it is made again while the store is away, if it has answered before.

        botocore's own retries share a budget of 35 per client, which eight transfers spend in a second.

        Raises:
            PrerequisiteError: the store refused, or was away for PATIENCE_S.
        """
        started = time.monotonic()
        pause_s = 0.2
        while True:
            try:
                with s3_faults(where, self.client.meta.endpoint_url):
                    answer = request(self.client)
                _answered.add(self._uri)
                return answer
            except PrerequisiteError as error:
                left_s = PATIENCE_S - (time.monotonic() - started)
                if self._uri not in _answered or not may_pass(error) or left_s <= 0:
                    raise
                logger.warning("%s is away, %.0f s of patience left", where, left_s)
            time.sleep(random.uniform(pause_s / 2, pause_s))
            pause_s = min(2 * pause_s, MAX_PAUSE_S)

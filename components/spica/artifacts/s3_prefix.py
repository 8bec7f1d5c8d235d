"""Files below one prefix of a bucket: list, upload, download, delete, many at a time."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from spica.artifacts.names import MANIFEST_NAME, relative_name
from spica.artifacts.s3_connection import S3Connection
from spica.artifacts.s3_faults import error_code
from spica.errors import Fault, IntegrityError

NUM_PARALLEL_FILES = 8
MAX_KEYS_PER_DELETE = 1000


class S3Prefix:
    """The objects whose keys begin with `prefix` and a slash; names are what follows."""

    def __init__(self, connection: S3Connection, bucket: str, prefix: str) -> None:
        """`connection` is the store's; several threads use it."""
        self._connection = connection
        self._bucket = bucket
        self._start = f"{prefix}/"
        self.uri = f"s3://{bucket}/{prefix}"

    def sizes(self) -> dict[str, int]:
        """Name -> bytes of every object.

        Raises:
            IntegrityError: a name that could lead out of a folder.
            PrerequisiteError: the store cannot be reached.
        """

        def listed(client: Any) -> dict[str, int]:
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._start)
            items = (item for page in pages for item in page.get("Contents", ()))
            return {item["Key"].removeprefix(self._start): item["Size"] for item in items}

        found = self._connection.ask(self.uri, listed)
        for name in found.keys() - {MANIFEST_NAME}:
            try:
                relative_name(name)
            except ValueError as error:
                remedy = f"remove the object {self._start}{name} from the bucket {self._bucket}"
                raise IntegrityError(Fault(self.uri, str(error), "relative names", remedy)) from error
        return found

    def read(self, name: str) -> bytes | None:
        """A small object's bytes; None where there is none.

        Raises:
            PrerequisiteError: the store cannot be reached.
        """

        def get(client: Any) -> bytes | None:
            try:
                return bytes(client.get_object(Bucket=self._bucket, Key=self._start + name)["Body"].read())
            except ClientError as error:
                if error_code(error) == "NoSuchKey":
                    return None
                raise

        return self._connection.ask(self.uri, get)

    def write(self, name: str, content: bytes) -> None:
        """Write a small object.

        Raises:
            PrerequisiteError: the store cannot be reached.
        """
        key = self._start + name
        self._connection.ask(
            self.uri, lambda client: client.put_object(Bucket=self._bucket, Key=key, Body=content)
        )

    def upload(self, folder: Path, names: Iterable[str]) -> None:
        """Write files of `folder`; large ones in parts."""

        def put(name: str) -> None:
            source, key = str(folder / name), self._start + name
            self._connection.ask(self.uri, lambda client: client.upload_file(source, self._bucket, key))

        in_parallel(put, names)

    def upload_present(self, folder: Path, names: Iterable[str]) -> list[str]:
        """Write those files that are still there when their turn comes; return their names."""
        written: list[str] = []

        def put(name: str) -> None:
            with suppress(FileNotFoundError):
                self.upload(folder, [name])
                written.append(name)

        in_parallel(put, names)
        return sorted(written)

    def download(self, folder: Path, names: Iterable[str], mode: int = 0o644) -> None:
        """Read objects into `folder`; large ones in ranges. A file appears whole or not at all."""

        def get(name: str) -> None:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            key = self._start + name
            self._connection.ask(
                self.uri, lambda client: client.download_file(self._bucket, key, str(target))
            )
            target.chmod(mode)

        in_parallel(get, names)

    def delete(self, names: Iterable[str]) -> None:
        """Delete objects; names that are not there are no error.

        Raises:
            PrerequisiteError: the store cannot be reached, or does not let one be deleted.
        """
        keys = [{"Key": self._start + name} for name in names]

        def delete_all(client: Any) -> None:
            for first in range(0, len(keys), MAX_KEYS_PER_DELETE):
                part = {"Objects": keys[first : first + MAX_KEYS_PER_DELETE], "Quiet": True}
                answer = client.delete_objects(Bucket=self._bucket, Delete=part)
                if refused := answer.get("Errors"):
                    raise ClientError({"Error": refused[0]}, "DeleteObjects")

        if keys:
            self._connection.ask(self.uri, delete_all)


def in_parallel(work: Callable[[str], None], names: Iterable[str]) -> None:
    """Do `work` on all names, several at a time; the first error ends it."""
    with ThreadPoolExecutor(max_workers=NUM_PARALLEL_FILES) as pool:
        try:
            for _ in pool.map(work, names):
                pass
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise

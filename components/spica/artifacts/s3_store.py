"""Artifacts in a bucket: blobs under their payload digest, then the manifest, if nobody else was first.

TASK/KEY[:16]/DIGEST[:16]/files...    two writers of different bytes never mix
TASK/KEY[:16]/manifest.json           written last with If-None-Match: *
"""

import logging
import random
import shutil
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from spica.artifacts.disk import disk_faults, folder_aside
from spica.artifacts.folders import compare_names, parse_manifest, verify_folder
from spica.artifacts.manifest import Artifact, Manifest
from spica.artifacts.names import MANIFEST_NAME, relative_name
from spica.artifacts.s3_faults import error_code, s3_faults
from spica.artifacts.store import Store, artifact_name, settle
from spica.artifacts.types import FileEntry
from spica.artifacts.workspace import state_folder
from spica.errors import ConflictError, Fault, IntegrityError

NUM_PARALLEL_FILES = 8
MAX_COMMIT_ATTEMPTS = 6
TAKEN_CODES = ("PreconditionFailed", "412")
BUSY_CODES = ("ConditionalRequestConflict", "409")

logger = logging.getLogger(__name__)


class S3Store(Store):
    """A prefix of a bucket, s3://bucket/prefix; endpoint, region and keys come from the AWS environment."""

    def __init__(self, bucket: str, prefix: str) -> None:
        """Connects at the first request, not here."""
        self.bucket = bucket
        self.prefix = f"{prefix}/" if prefix else ""
        self.uri = f"s3://{bucket}/{prefix}"

    @cached_property
    def _client(self) -> Any:
        config = Config(
            retries={"mode": "standard"}, max_pool_connections=4 * NUM_PARALLEL_FILES, connect_timeout=10
        )
        with s3_faults(self.uri, "AWS"):
            return boto3.session.Session().client("s3", config=config)

    def find(self, task: str, key: str) -> Manifest | None:
        name = f"{artifact_name(task, key)}/{MANIFEST_NAME}"
        with self._faults():
            try:
                content = self._client.get_object(Bucket=self.bucket, Key=self.prefix + name)["Body"].read()
            except ClientError as error:
                if error_code(error) == "NoSuchKey":
                    return None
                raise
        manifest = parse_manifest(content, self._where(name), self._remedy(task, key))
        if (manifest.task, manifest.key) != (task, key):
            found = f"task {manifest.task}, key {manifest.key}"
            raise IntegrityError(
                Fault(self._where(name), found, f"task {task}, key {key}", self._remedy(task, key))
            )
        return manifest

    def verify(self, manifest: Manifest) -> None:
        """Compare names and sizes; the bytes are verified by whoever opens the artifact."""
        where, remedy = self._where(_blobs(manifest)), self._remedy(manifest.task, manifest.key)
        sizes = self._list(_blobs(manifest), remedy)
        faults = compare_names(set(sizes), manifest, where, remedy)
        for entry in manifest.files:
            if (size := sizes.get(entry.path, entry.size)) != entry.size:
                faults.append(Fault(f"{where}/{entry.path}", f"{size} bytes", f"{entry.size} bytes", remedy))
        if faults:
            raise IntegrityError(*faults)

    def open(self, manifest: Manifest) -> Artifact:
        self.verify(manifest)
        where, remedy = self._where(_blobs(manifest)), self._remedy(manifest.task, manifest.key)
        folder = state_folder() / "cache" / manifest.digest[:32]
        if folder.exists():
            try:
                verify_folder(folder, manifest, str(folder), "remove it")
                return Artifact(manifest, folder)
            except IntegrityError as error:
                logger.warning("a local copy is damaged and is fetched again\n%s", error)
                shutil.rmtree(folder)
        with disk_faults(folder):
            aside = folder_aside(folder)
            try:
                self._download(manifest, aside)
                verify_folder(aside, manifest, where, remedy)
                _rename(aside, folder)
            finally:
                shutil.rmtree(aside, ignore_errors=True)
        return Artifact(manifest, folder)

    def publish(self, folder: Path, manifest: Manifest) -> Manifest:
        where = self._where(artifact_name(manifest.task, manifest.key))
        if theirs := self.find(manifest.task, manifest.key):
            return settle(where, manifest, theirs)
        self._upload(manifest, folder)
        with self._faults():
            theirs = self._commit(manifest)
        try:
            return settle(where, manifest, theirs)
        except ConflictError:
            # No manifest will ever name these blobs: a name, once taken, is not given again.
            self._delete(_blobs(manifest), (entry.path for entry in manifest.files))
            raise

    def _commit(self, manifest: Manifest) -> Manifest:
        """Write the manifest if there is none; return the one that stands there afterwards."""
        key = f"{self.prefix}{artifact_name(manifest.task, manifest.key)}/{MANIFEST_NAME}"
        content = manifest.model_dump_json(indent=1).encode()
        for attempt in range(MAX_COMMIT_ATTEMPTS):
            try:
                self._client.put_object(Bucket=self.bucket, Key=key, Body=content, IfNoneMatch="*")
                return manifest
            except ClientError as error:
                # 409: another request on this name is under way, and its end decides which answer we get.
                if error_code(error) in TAKEN_CODES and (theirs := self.find(manifest.task, manifest.key)):
                    return theirs
                if error_code(error) not in (*TAKEN_CODES, *BUSY_CODES) or attempt + 1 == MAX_COMMIT_ATTEMPTS:
                    raise
            time.sleep(random.uniform(0, 0.05 * 2**attempt))
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _upload(self, manifest: Manifest, folder: Path) -> None:
        blobs = self.prefix + _blobs(manifest)

        def upload(entry: FileEntry) -> None:
            with self._faults():
                self._client.upload_file(str(folder / entry.path), self.bucket, f"{blobs}/{entry.path}")

        _in_parallel(upload, manifest.files)

    def _download(self, manifest: Manifest, folder: Path) -> None:
        blobs = self.prefix + _blobs(manifest)

        def download(entry: FileEntry) -> None:
            target = folder / entry.path
            target.parent.mkdir(parents=True, exist_ok=True)
            with self._faults():
                self._client.download_file(self.bucket, f"{blobs}/{entry.path}", str(target))
            target.chmod(0o444)

        _in_parallel(download, manifest.files)

    def _list(self, name: str, remedy: str) -> dict[str, int]:
        """Return relative name -> bytes of the objects below `name`."""
        start = f"{self.prefix}{name}/"
        sizes: dict[str, int] = {}
        with self._faults():
            for page in self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=start
            ):
                for item in page.get("Contents", ()):
                    sizes[item["Key"].removeprefix(start)] = item["Size"]
        for key in sizes:
            try:
                relative_name(key)
            except ValueError as error:
                raise IntegrityError(
                    Fault(self._where(name), str(error), "relative names", remedy)
                ) from error
        return sizes

    def _delete(self, name: str, paths: Iterable[str]) -> None:
        keys = [{"Key": f"{self.prefix}{name}/{path}"} for path in paths]
        with self._faults():
            for first in range(0, len(keys), 1000):
                self._client.delete_objects(
                    Bucket=self.bucket, Delete={"Objects": keys[first : first + 1000]}
                )

    def _faults(self) -> Any:
        return s3_faults(self.uri, self._client.meta.endpoint_url)

    def _where(self, name: str) -> str:
        return f"s3://{self.bucket}/{self.prefix}{name}"

    def _remedy(self, task: str, key: str) -> str:
        where = self._where(artifact_name(task, key))
        return f"remove it (`aws s3 rm --recursive {where}/`) and run the recipe again: the task is done anew"


def _blobs(manifest: Manifest) -> str:
    return f"{artifact_name(manifest.task, manifest.key)}/{manifest.digest[:16]}"


def _in_parallel(work: Callable[[FileEntry], None], entries: Iterable[FileEntry]) -> None:
    with ThreadPoolExecutor(max_workers=NUM_PARALLEL_FILES) as pool:
        try:
            for _ in pool.map(work, entries):
                pass
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _rename(aside: Path, folder: Path) -> None:
    try:
        aside.rename(folder)
    except OSError:
        # Another process fetched and verified the same bytes meanwhile.
        if not folder.is_dir():
            raise

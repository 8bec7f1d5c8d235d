"""Artifacts in a bucket: files under an upload of their own, then the manifest, if nobody else was first.

TASK/KEY[:16]/UPLOAD/files...         one upload per writer: two never mix
TASK/KEY[:16]/manifest.json           written last with If-None-Match: *; names the upload that counts
TASK/KEY[:16]/scratch/files...        what an unfinished attempt keeps, see `Shelf`
TASK/KEY[:16]/job/files...            the same of the pods it started
"""

import logging
import random
import secrets
import shutil
import time
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from spica.artifacts.disk import disk_faults, folder_aside
from spica.artifacts.folders import compare_names, hash_files, parse_manifest, verify_folder
from spica.artifacts.manifest import Manifest
from spica.artifacts.names import MANIFEST_NAME
from spica.artifacts.s3_connection import S3Connection
from spica.artifacts.s3_faults import error_code
from spica.artifacts.s3_prefix import S3Prefix
from spica.artifacts.shelf import Shelf
from spica.artifacts.store import Store, artifact_name, settle
from spica.artifacts.workspace import Delivery, state_folder
from spica.errors import Fault, IntegrityError

MAX_COMMIT_ATTEMPTS = 6
TAKEN_CODES = ("PreconditionFailed", "412")
BUSY_CODES = ("ConditionalRequestConflict", "409")
SCRATCH = "scratch"
JOB = "job"

logger = logging.getLogger(__name__)


class S3Store(Store):
    """A prefix of a bucket, s3://bucket/prefix; endpoint, region and keys come from the AWS environment."""

    def __init__(self, bucket: str, prefix: str) -> None:
        """Connects at the first request, not here."""
        self.bucket = bucket
        self.prefix = f"{prefix}/" if prefix else ""
        self.uri = f"s3://{bucket}/{prefix}"
        self._connection = S3Connection(self.uri)

    def find(self, task: str, key: str) -> Manifest | None:
        name = f"{artifact_name(task, key)}/{MANIFEST_NAME}"

        def read(client: Any) -> bytes | None:
            try:
                return bytes(client.get_object(Bucket=self.bucket, Key=self.prefix + name)["Body"].read())
            except ClientError as error:
                if error_code(error) == "NoSuchKey":
                    return None
                raise

        content = self._connection.ask(self.uri, read)
        if content is None:
            return None
        manifest = parse_manifest(content, self._where(name), self._remedy(task, key))
        if (manifest.task, manifest.key) != (task, key):
            found = f"task {manifest.task}, key {manifest.key}"
            raise IntegrityError(
                Fault(self._where(name), found, f"task {task}, key {key}", self._remedy(task, key))
            )
        return manifest

    def uri_of(self, manifest: Manifest) -> str:
        return self._files(manifest).uri

    def verify(self, manifest: Manifest) -> None:
        """Compare names and sizes; the bytes are verified by whoever fetches the artifact."""
        files, remedy = self._files(manifest), self._remedy(manifest.task, manifest.key)
        sizes = files.sizes()
        faults = compare_names(set(sizes), manifest, files.uri, remedy)
        for entry in manifest.files:
            size = sizes.get(entry.path, entry.size)
            if size != entry.size:
                where = f"{files.uri}/{entry.path}"
                faults.append(Fault(where, f"{size} bytes", f"{entry.size} bytes", remedy))
        if faults:
            raise IntegrityError(*faults)

    def fetch(self, manifest: Manifest) -> Path:
        self.verify(manifest)
        files, remedy = self._files(manifest), self._remedy(manifest.task, manifest.key)
        folder = state_folder() / "cache" / manifest.digest[:32]
        if folder.exists():
            try:
                verify_folder(folder, manifest, str(folder), "remove it")
                return folder
            except IntegrityError as error:
                logger.warning("a local copy is damaged and is fetched again\n%s", error)
                shutil.rmtree(folder)
        with disk_faults(folder):
            aside = folder_aside(folder)
            try:
                files.download(aside, (entry.path for entry in manifest.files), mode=0o444)
                verify_folder(aside, manifest, files.uri, remedy)
                _rename(aside, folder)
            finally:
                shutil.rmtree(aside, ignore_errors=True)
        return folder

    def publish(self, folder: Path, manifest: Manifest) -> Manifest:
        where = self._where(artifact_name(manifest.task, manifest.key))
        if theirs := self.find(manifest.task, manifest.key):
            self._sweep(theirs)
            return settle(where, manifest, theirs)
        if not manifest.execution.blobs:
            execution = manifest.execution.model_copy(update={"blobs": secrets.token_hex(8)})
            manifest = manifest.model_copy(update={"execution": execution})
        here = [entry.path for entry in manifest.files if (folder / entry.path).is_file()]
        self._files(manifest).upload(folder, here)
        if len(here) < len(manifest.files) and not self.find(manifest.task, manifest.key):
            # The rest was delivered: no manifest may name what is not there.
            self.verify(manifest)
        theirs = self._connection.ask(self.uri, lambda client: self._commit(client, manifest))
        self._sweep(theirs)
        return settle(where, manifest, theirs)

    def deliver(self, task: str, key: str, folder: Path) -> Delivery:
        """Upload files that a job made where no stage can see them; `publish` names them later.

        Raises:
            PrerequisiteError: the store cannot be reached.
        """
        delivery = Delivery(blobs=secrets.token_hex(8), files=hash_files(folder))
        prefix = self._below(f"{artifact_name(task, key)}/{delivery.blobs}")
        prefix.upload(folder, (entry.path for entry in delivery.files))
        return delivery

    def shelf(self, task: str, key: str) -> Shelf:
        return Shelf(self._below(f"{artifact_name(task, key)}/{SCRATCH}"))

    def job_shelf(self, task: str, key: str) -> Shelf:
        """Where the pods of a job keep their scratch, apart from that of the stage that started it."""
        return Shelf(self._below(f"{artifact_name(task, key)}/{JOB}"))

    def _commit(self, client: Any, manifest: Manifest) -> Manifest:
        """Write the manifest if there is none; return the one that stands there afterwards."""
        key = f"{self.prefix}{artifact_name(manifest.task, manifest.key)}/{MANIFEST_NAME}"
        content = manifest.model_dump_json(indent=1).encode()
        for attempt in range(MAX_COMMIT_ATTEMPTS):
            try:
                client.put_object(Bucket=self.bucket, Key=key, Body=content, IfNoneMatch="*")
                return manifest
            except ClientError as error:
                # 409: another request on this name is under way, and its end decides which answer we get.
                if error_code(error) in TAKEN_CODES and (theirs := self.find(manifest.task, manifest.key)):
                    return theirs
                if error_code(error) not in (*TAKEN_CODES, *BUSY_CODES) or attempt + 1 == MAX_COMMIT_ATTEMPTS:
                    raise
            time.sleep(random.uniform(0, 0.05 * 2**attempt))
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _sweep(self, published: Manifest) -> None:
        """Delete other uploads: a name once taken is not given again, so no manifest will name them."""
        here = self._below(artifact_name(published.task, published.key))
        kept = (MANIFEST_NAME, f"{_upload(published)}/", f"{SCRATCH}/")
        here.delete(name for name in here.sizes() if not name.startswith(kept))

    def _files(self, manifest: Manifest) -> S3Prefix:
        return self._below(f"{artifact_name(manifest.task, manifest.key)}/{_upload(manifest)}")

    def _below(self, name: str) -> S3Prefix:
        return S3Prefix(self._connection, self.bucket, self.prefix + name)

    def _where(self, name: str) -> str:
        return f"s3://{self.bucket}/{self.prefix}{name}"

    def _remedy(self, task: str, key: str) -> str:
        where = self._where(artifact_name(task, key))
        return f"remove it (`aws s3 rm --recursive {where}/`) and run the recipe again: the task is done anew"


def _upload(manifest: Manifest) -> str:
    return manifest.execution.blobs or manifest.digest[:16]


def _rename(aside: Path, folder: Path) -> None:
    try:
        aside.rename(folder)
    except OSError:
        # Another process fetched and verified the same bytes meanwhile.
        if not folder.is_dir():
            raise

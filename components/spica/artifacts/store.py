"""Where artifacts live: TASK/KEY[:16]/ holds the files and, written last, manifest.json."""

import re
from pathlib import Path
from typing import Protocol

from spica.artifacts.manifest import Artifact, Manifest, Reference
from spica.artifacts.shelf import Shelf
from spica.errors import ConflictError, Fault, PrerequisiteError, RecipeError
from spica.recipe.places import BUCKET_NAME

TASK_NAME = re.compile(r"[a-z0-9][a-z0-9_+.-]{0,80}")


class Store(Protocol):
    """A place that publishes an artifact whole or not at all, and never two of them under one name."""

    uri: str

    def find(self, task: str, key: str) -> Manifest | None:
        """Return the manifest published under this task and key, or None.

        Raises:
            IntegrityError: the manifest is damaged.
            PrerequisiteError: the store cannot be reached.
        """

    def verify(self, manifest: Manifest) -> None:
        """Check that the files of a published artifact are all there.

        Raises:
            IntegrityError: files are missing, too many or different.
        """

    def fetch(self, manifest: Manifest) -> Path:
        """Bring the files of an artifact to hand, every byte verified.

        Raises:
            IntegrityError: its bytes differ from the manifest; names file, expected, found.
            PrerequisiteError: the store cannot be reached, or the local disk is full.
        """

    def uri_of(self, manifest: Manifest) -> str:
        """Where the files of a published artifact lie: a folder or a prefix, nothing else below it."""

    def open(self, manifest: Manifest) -> Artifact:
        """The artifact; its files are fetched when they are first asked for."""
        return Artifact(manifest, self.uri_of(manifest), self.fetch)

    def resolve(self, reference: Reference, where: str) -> Artifact:
        """The artifact that a reference names; `where` is what an error calls the reference.

        Raises:
            PrerequisiteError: the store does not hold it, or holds another one under its name.
            IntegrityError: its manifest is damaged.
        """
        manifest = self.find(reference.task, reference.key)
        if manifest is not None and manifest.digest == reference.digest:
            return self.open(manifest)
        found = "no artifact" if manifest is None else f"digest {manifest.digest[:16]}"
        name = f"{reference.task}/{reference.key[:16]}"
        advice = "run the pipeline again: it makes what is missing"
        raise PrerequisiteError(Fault(f"{where}: {name}", found, f"digest {reference.digest[:16]}", advice))

    def publish(self, folder: Path, manifest: Manifest) -> Manifest:
        """Publish the files below `folder` (which may be moved away); return the manifest that counts.

        That is the earlier one where equal bytes were published before.

        Raises:
            ConflictError: other bytes were published under this task and key.
        """

    def shelf(self, task: str, key: str) -> Shelf | None:
        """Where scratch of this artifact is kept; None where the state folder lasts as long as the store."""

    @staticmethod
    def parse(uri: str) -> "Store":
        """Return the store a URI names: file://folder or s3://bucket/prefix.

        Raises:
            RecipeError: it names neither.
        """
        scheme, separator, place = uri.partition("://")
        if scheme == "file" and separator and place:
            from spica.artifacts.file_store import FileStore

            return FileStore(Path(place))
        bucket, _, prefix = place.partition("/")
        climbs = any(part in (".", "..") for part in prefix.split("/"))
        if scheme == "s3" and BUCKET_NAME.fullmatch(bucket) and not climbs:
            from spica.artifacts.s3_store import S3Store

            return S3Store(bucket, prefix.strip("/"))
        raise RecipeError(
            Fault(
                "store",
                repr(uri),
                "file://folder or s3://bucket/prefix",
                "correct `store`, then `spica check`",
            )
        )


def artifact_name(task: str, key: str) -> str:
    """Return TASK/KEY[:16], the name of an artifact inside any store.

    Raises:
        RecipeError: the task's name cannot be part of a path.
    """
    if not TASK_NAME.fullmatch(task):
        raise RecipeError(Fault("task", repr(task), f"a name like {TASK_NAME.pattern}", "rename the task"))
    return f"{task}/{key[:16]}"


def settle(where: str, ours: Manifest, theirs: Manifest) -> Manifest:
    """Decide between two manifests under one name: the earlier one stays, and it must say the same.

    Raises:
        ConflictError: their payload digests differ.
    """
    if ours.digest == theirs.digest:
        return theirs
    differing = sorted(_names(ours) ^ _names(theirs))
    run = theirs.execution
    raise ConflictError(
        Fault(
            where,
            f"digest {theirs.digest}, published from {run.host} (started {run.started})",
            f"digest {ours.digest}, as made here"
            + (f"; differs in {', '.join(differing[:5])}" if differing else ""),
            "run again to use the published one, or remove it there first: one task and key gave two results",
        )
    )


def _names(manifest: Manifest) -> set[str]:
    return {f"{entry.path} ({entry.sha256[:8]})" for entry in manifest.files}

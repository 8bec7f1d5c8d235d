import os
import socket
import subprocess
from pathlib import Path

import pytest

from spica.artifacts.folders import list_files
from spica.artifacts.manifest import Artifact, Manifest
from spica.artifacts.store import Store
from spica.errors import ConflictError, IntegrityError, PrerequisiteError, RecipeError

from .artifact_examples import KEY, Race, as_json, manifest_of, race, write_files

TASK = "sft-d_t+d_sd"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.parse(f"file://{tmp_path}/store")


@pytest.fixture
def artifact(store: Store, tmp_path: Path) -> Artifact:
    folder = write_files(tmp_path / "made", model_bin="weights", images__a_png="pixels")
    return store.open(store.publish(folder, manifest_of(folder, accuracy=0.5)))


def test_a_published_artifact_is_found_and_opened(store: Store, artifact: Artifact, tmp_path: Path) -> None:
    assert store.find(TASK, KEY) == artifact.manifest
    assert artifact.path == tmp_path / "store" / TASK / KEY[:16]
    assert (artifact.path / "images/a.png").read_text() == "pixels"


def test_the_manifest_names_every_file_with_size_and_sha256(artifact: Artifact) -> None:
    entries = [(entry.path, entry.size, entry.sha256[:8]) for entry in artifact.manifest.files]
    assert entries == [("images/a.png", 6, "6ec9c2b0"), ("model.bin", 7, "9a129038")]


def test_nothing_is_found_under_another_key(store: Store, artifact: Artifact) -> None:
    assert store.find(TASK, "cd" * 32) is None


def test_nothing_is_found_where_the_manifest_is_not_written_yet(store: Store, tmp_path: Path) -> None:
    write_files(tmp_path / "store" / TASK / KEY[:16], model_bin="weights")
    assert store.find(TASK, KEY) is None


def test_equal_bytes_published_again_are_reused(store: Store, artifact: Artifact, tmp_path: Path) -> None:
    folder = write_files(tmp_path / "again", model_bin="weights", images__a_png="pixels")
    later = manifest_of(folder, accuracy=0.5)
    later = later.model_copy(update={"execution": later.execution.model_copy(update={"host": "other"})})
    assert store.publish(folder, later) == artifact.manifest


def test_different_bytes_are_a_conflict_that_names_both(
    store: Store, artifact: Artifact, tmp_path: Path
) -> None:
    folder = write_files(tmp_path / "again", model_bin="Weights", images__a_png="pixels")
    ours = manifest_of(folder, accuracy=0.5)
    with pytest.raises(ConflictError) as caught:
        store.publish(folder, ours)
    assert artifact.manifest.digest in caught.value.faults[0].found
    assert ours.digest in caught.value.faults[0].allowed
    assert "model.bin" in caught.value.faults[0].allowed
    store.verify(artifact.manifest)


def test_a_failed_publication_leaves_nothing_aside(store: Store, artifact: Artifact, tmp_path: Path) -> None:
    folder = write_files(tmp_path / "again", model_bin="Weights")
    with pytest.raises(ConflictError):
        store.publish(folder, manifest_of(folder))
    assert os.listdir(tmp_path / "store" / TASK) == [KEY[:16]]


def test_an_altered_byte_is_refused(store: Store, artifact: Artifact) -> None:
    path = artifact.path / "model.bin"
    path.chmod(0o644)
    path.write_text("weightz")
    with pytest.raises(IntegrityError) as caught:
        store.fetch(artifact.manifest)
    fault = caught.value.faults[0]
    assert fault.where == str(path)
    assert fault.found.startswith("7 bytes, sha256 77231fd1")
    assert fault.allowed.startswith("7 bytes, sha256 9a129038")
    assert (
        fault.next == f"remove it (`rm -r {artifact.path}`) and run the recipe again: the task is done anew"
    )


def test_an_altered_byte_with_the_old_modification_time_is_refused(store: Store, artifact: Artifact) -> None:
    path = artifact.path / "model.bin"
    before = path.stat()
    path.chmod(0o644)
    path.write_text("weightz")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(IntegrityError):
        store.verify(artifact.manifest)


def test_a_truncated_file_is_refused(store: Store, artifact: Artifact) -> None:
    os.truncate(artifact.path / "model.bin", 3)
    with pytest.raises(IntegrityError, match="found:   3 bytes"):
        store.fetch(artifact.manifest)


def test_a_missing_file_is_refused(store: Store, artifact: Artifact) -> None:
    (artifact.path / "images/a.png").unlink()
    with pytest.raises(IntegrityError, match=r"images/a.png\n  found:   missing"):
        store.fetch(artifact.manifest)


def test_an_extra_file_is_refused(store: Store, artifact: Artifact) -> None:
    (artifact.path / "images/b.png").write_text("more")
    with pytest.raises(IntegrityError, match=r"images/b.png\n  found:   an extra file"):
        store.fetch(artifact.manifest)


def test_all_faults_of_an_artifact_are_told_at_once(store: Store, artifact: Artifact) -> None:
    (artifact.path / "images/a.png").unlink()
    os.truncate(artifact.path / "model.bin", 0)
    with pytest.raises(IntegrityError) as caught:
        store.fetch(artifact.manifest)
    assert len(caught.value.faults) == 2


def test_a_removed_artifact_is_refused(store: Store, artifact: Artifact, tmp_path: Path) -> None:
    artifact.path.rename(tmp_path / "elsewhere")
    with pytest.raises(IntegrityError, match="missing"):
        store.fetch(artifact.manifest)


def test_a_link_out_of_the_folder_is_not_followed(store: Store, artifact: Artifact, tmp_path: Path) -> None:
    path = artifact.path / "model.bin"
    (tmp_path / "outside").write_text("weights")
    path.unlink()
    path.symlink_to(tmp_path / "outside")
    with pytest.raises(IntegrityError, match="a link"):
        store.fetch(artifact.manifest)


def test_a_folder_with_a_link_is_not_published(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "made", model_bin="weights")
    (folder / "more").symlink_to("/")
    with pytest.raises(IntegrityError, match="plain files only"):
        list_files(folder)


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/passwd", "a/../b", "a//b", "a\\b", "manifest.json", "a\nb", ""]
)
def test_a_manifest_that_names_a_file_outside_its_folder_is_refused(
    store: Store, artifact: Artifact, name: str
) -> None:
    path = artifact.path / "manifest.json"
    path.chmod(0o644)
    path.write_bytes(as_json(artifact.manifest, files=[{"path": name, "size": 1, "sha256": "0" * 64}]))
    with pytest.raises(IntegrityError, match="no manifest"):
        store.find(TASK, KEY)


def test_a_truncated_manifest_is_refused(store: Store, artifact: Artifact) -> None:
    os.truncate(artifact.path / "manifest.json", 40)
    with pytest.raises(IntegrityError, match="no manifest: Invalid JSON"):
        store.find(TASK, KEY)


def test_an_altered_manifest_is_refused(store: Store, artifact: Artifact) -> None:
    (artifact.path / "manifest.json").write_bytes(as_json(artifact.manifest, metrics={"accuracy": 0.9}))
    with pytest.raises(IntegrityError, match="payload digest"):
        store.find(TASK, KEY)


def test_a_file_with_a_second_name_elsewhere_is_copied(store: Store, tmp_path: Path) -> None:
    source = write_files(tmp_path / "hub", model_bin="weights") / "model.bin"
    folder = tmp_path / "made"
    folder.mkdir()
    os.link(source, folder / "model.bin")
    artifact = store.open(store.publish(folder, manifest_of(folder)))
    source.write_text("changed")
    store.verify(artifact.manifest)


def test_what_a_killed_publication_left_aside_is_cleared_and_a_living_one_stays(
    store: Store, tmp_path: Path
) -> None:
    with subprocess.Popen(["true"]) as dead:
        dead.wait()
    task, host = tmp_path / "store" / TASK, socket.gethostname()
    for pid in (dead.pid, os.getpid()):
        write_files(task / f".{KEY[:16]}-{host}-{pid}-00000000", model_bin="half")
    folder = write_files(tmp_path / "made", model_bin="weights")
    store.publish(folder, manifest_of(folder))
    assert sorted(os.listdir(task)) == [f".{KEY[:16]}-{host}-{os.getpid()}-00000000", KEY[:16]]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Race:
    folder = tmp_path_factory.mktemp("race")
    return race(f"file://{folder}/store", folder, 30)


def test_two_processes_with_different_bytes_have_one_winner_per_name(outcomes: Race) -> None:
    assert [pair.count("conflict") for pair in outcomes.different] == [1] * 30


def test_two_processes_with_equal_bytes_are_both_served(outcomes: Race) -> None:
    assert [pair.count("conflict") for pair in outcomes.equal] == [0] * 30


def test_a_full_disk_leaves_no_artifact(full_disk: Path, tmp_path: Path) -> None:
    folder = write_files(tmp_path / "made", a_bin="x" * 600_000, b_bin="y" * 600_000)
    manifest = manifest_of(folder)
    store = Store.parse(f"file://{full_disk}")
    with pytest.raises(PrerequisiteError, match="disk full"):
        store.publish(folder, manifest)
    assert store.find(manifest.task, KEY) is None
    assert [path for path in full_disk.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    "uri", ["ftp://x", "file://", "s3://", "s3://Bad_Bucket/x", "s3://bucket/a/../b", "folder"]
)
def test_a_uri_that_names_no_store_is_refused(uri: str) -> None:
    with pytest.raises(RecipeError, match="file://folder or s3://bucket/prefix"):
        Store.parse(uri)


def test_a_task_name_that_climbs_is_refused(store: Store) -> None:
    with pytest.raises(RecipeError):
        store.find("../evil", KEY)


def test_times_and_hosts_stay_outside_the_payload_digest(tmp_path: Path) -> None:
    manifest: Manifest = manifest_of(write_files(tmp_path / "made", model_bin="weights"))
    elsewhere = manifest.execution.model_copy(update={"host": "x", "wall_s": 9.0, "uris": {"a": "file:///b"}})
    assert manifest.model_copy(update={"execution": elsewhere}).payload_digest() == manifest.digest

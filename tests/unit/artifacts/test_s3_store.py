import logging
import os
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from spica.artifacts.manifest import Artifact, Manifest
from spica.artifacts.s3_store import S3Store
from spica.artifacts.store import Store
from spica.errors import ConflictError, IntegrityError, PrerequisiteError

from ...fakes.s3_server import S3Server
from .artifact_examples import KEY, as_json, bucket_keys, manifest_of, race, write_files

TASK = "sft-d_t+d_sd"
NAME = f"runs/{TASK}/{KEY[:16]}"


@pytest.fixture(scope="module")
def connected(s3_client: Any) -> Store:
    # A store keeps its client, and making one takes longer than most tests.
    return Store.parse("s3://spica/runs")


@pytest.fixture
def store(s3: Any, connected: Store) -> Store:
    return connected


@pytest.fixture
def manifest(store: Store, tmp_path: Path) -> Manifest:
    folder = write_files(tmp_path / "made", model_bin="weights", images__a_png="pixels")
    return store.publish(folder, manifest_of(folder))


def key_of(manifest: Manifest, name: str) -> str:
    return f"{NAME}/{manifest.execution.blobs}/{name}"


def test_a_published_artifact_is_found_and_fetched(store: Store, manifest: Manifest, state: Path) -> None:
    assert store.find(TASK, KEY) == manifest
    artifact: Artifact = store.open(manifest)
    assert artifact.path == state / "cache" / manifest.digest[:32]
    assert (artifact.path / "images/a.png").read_text() == "pixels"


def test_files_lie_under_the_upload_that_the_manifest_names(s3: Any, manifest: Manifest) -> None:
    blobs = [key_of(manifest, "images/a.png"), key_of(manifest, "model.bin")]
    assert sorted(bucket_keys(s3)) == sorted([*blobs, f"{NAME}/manifest.json"])


def test_nothing_is_found_under_another_key(store: Store, manifest: Manifest) -> None:
    assert store.find(TASK, "cd" * 32) is None


def test_an_empty_file_and_a_sibling_with_the_same_beginning_are_kept_apart(
    store: Store, tmp_path: Path
) -> None:
    folder = write_files(tmp_path / "made", empty_txt="", model_bin="weights")
    manifest = store.publish(folder, manifest_of(folder))
    sibling = write_files(tmp_path / "other", model_bin="other")
    store.publish(sibling, manifest_of(sibling, task=f"{TASK}-hf"))
    assert sorted(path.name for path in store.open(manifest).path.iterdir()) == ["empty.txt", "model.bin"]


def test_equal_bytes_published_again_are_reused(store: Store, manifest: Manifest, tmp_path: Path) -> None:
    folder = write_files(tmp_path / "again", model_bin="weights", images__a_png="pixels")
    assert store.publish(folder, manifest_of(folder)) == manifest


def test_different_bytes_are_a_conflict_that_names_both(
    store: Store, manifest: Manifest, tmp_path: Path
) -> None:
    folder = write_files(tmp_path / "again", model_bin="Weights", images__a_png="pixels")
    ours = manifest_of(folder)
    with pytest.raises(ConflictError) as caught:
        store.publish(folder, ours)
    assert manifest.digest in caught.value.faults[0].found
    assert ours.digest in caught.value.faults[0].allowed


def test_of_two_processes_with_different_bytes_one_wins_and_with_equal_bytes_both(
    s3: Any, tmp_path: Path
) -> None:
    outcomes = race("s3://spica/race", tmp_path, 8)
    assert [pair.count("conflict") for pair in outcomes.different] == [1] * 8
    assert [pair.count("conflict") for pair in outcomes.equal] == [0] * 8
    # The losers' blobs are gone: one file and a manifest per name.
    assert len(bucket_keys(s3)) == 2 * 8 * 2


def test_an_altered_object_is_refused(s3: Any, store: Store, manifest: Manifest) -> None:
    s3.put_object(Bucket="spica", Key=key_of(manifest, "model.bin"), Body=b"weightz")
    with pytest.raises(IntegrityError) as caught:
        store.fetch(manifest)
    fault = caught.value.faults[0]
    assert fault.where == f"s3://spica/{key_of(manifest, 'model.bin')}"
    assert fault.found.startswith("7 bytes, sha256 77231fd1")
    assert fault.allowed.startswith("7 bytes, sha256 9a129038")
    assert f"`aws s3 rm --recursive s3://spica/{NAME}/`" in fault.next


def test_a_truncated_object_is_refused_before_anything_is_fetched(
    s3: Any, store: Store, manifest: Manifest, state: Path
) -> None:
    s3.put_object(Bucket="spica", Key=key_of(manifest, "model.bin"), Body=b"wei")
    with pytest.raises(IntegrityError, match="found:   3 bytes"):
        store.fetch(manifest)
    assert not (state / "cache").exists()


def test_a_missing_object_is_no_hit(s3: Any, store: Store, manifest: Manifest) -> None:
    s3.delete_object(Bucket="spica", Key=key_of(manifest, "images/a.png"))
    with pytest.raises(IntegrityError, match=r"images/a.png\n  found:   missing"):
        store.verify(manifest)


def test_an_extra_object_is_refused(s3: Any, store: Store, manifest: Manifest) -> None:
    s3.put_object(Bucket="spica", Key=key_of(manifest, "extra.bin"), Body=b"x")
    with pytest.raises(IntegrityError, match="an extra file"):
        store.fetch(manifest)


def test_a_key_that_climbs_is_refused(s3: Any, store: Store, manifest: Manifest, state: Path) -> None:
    s3.put_object(Bucket="spica", Key=key_of(manifest, "../../../../evil"), Body=b"x")
    with pytest.raises(IntegrityError, match="climbs out of its folder"):
        store.fetch(manifest)
    assert not state.exists()


def test_a_manifest_that_names_a_climbing_file_is_refused(s3: Any, store: Store, manifest: Manifest) -> None:
    files = [{"path": "../../evil", "size": 1, "sha256": "0" * 64}]
    s3.put_object(Bucket="spica", Key=f"{NAME}/manifest.json", Body=as_json(manifest, files=files))
    with pytest.raises(IntegrityError, match="climbs out of its folder"):
        store.find(TASK, KEY)


def test_a_fetched_copy_is_used_again_without_the_bucket(s3: Any, store: Store, manifest: Manifest) -> None:
    store.fetch(manifest)
    s3.put_object(Bucket="spica", Key=key_of(manifest, "model.bin"), Body=b"weightz")
    assert (store.open(manifest).path / "model.bin").read_text() == "weights"


def test_a_damaged_local_copy_is_fetched_again(
    store: Store, manifest: Manifest, caplog: pytest.LogCaptureFixture
) -> None:
    path = store.open(manifest).path / "model.bin"
    path.chmod(0o644)
    path.write_text("weightz")
    with caplog.at_level(logging.WARNING):
        assert (store.open(manifest).path / "model.bin").read_text() == "weights"
    assert "a local copy is damaged" in caplog.text


def test_a_conflicting_request_is_retried(s3_server: S3Server, store: Store, tmp_path: Path) -> None:
    refusals = ["409 Conflict", "409 Conflict"]

    def answer(environ: dict[str, Any]) -> tuple[str, bytes] | None:
        if "HTTP_IF_NONE_MATCH" in environ and refusals:
            return refusals.pop(), b"<Error><Code>ConditionalRequestConflict</Code></Error>"
        return None

    folder = write_files(tmp_path / "made", model_bin="weights")
    s3_server.answers.append(answer)
    store.verify(store.publish(folder, manifest_of(folder)))
    assert refusals == []


def test_a_store_without_conditional_writes_is_refused(
    s3_server: S3Server, store: Store, tmp_path: Path
) -> None:
    def answer(environ: dict[str, Any]) -> tuple[str, bytes] | None:
        body = b"<Error><Code>NotImplemented</Code></Error>"
        return ("501 Not Implemented", body) if "HTTP_IF_NONE_MATCH" in environ else None

    folder = write_files(tmp_path / "made", model_bin="weights")
    s3_server.answers.append(answer)
    with pytest.raises(PrerequisiteError, match=r"conditional writes \(If-None-Match\)"):
        store.publish(folder, manifest_of(folder))


def test_a_large_file_travels_in_parts(s3: Any, s3_server: S3Server, store: Store, tmp_path: Path) -> None:
    parts: list[str] = []

    def watch(environ: dict[str, Any]) -> None:
        if environ["REQUEST_METHOD"] == "PUT" and "partNumber" in environ["QUERY_STRING"]:
            parts.append(environ["QUERY_STRING"])

    s3_server.answers.append(watch)
    folder = write_files(tmp_path / "made", model_bin="0123456789abcdef" * (1 << 20))
    manifest = store.publish(folder, manifest_of(folder))
    assert len(parts) == 2
    assert store.open(manifest).manifest.files[0].size == 16 << 20


def test_refused_credentials_are_a_prerequisite(
    s3_server: S3Server, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    s3_server.answers.append(lambda _: ("403 Forbidden", b"<Error><Code>InvalidAccessKeyId</Code></Error>"))
    with pytest.raises(PrerequisiteError) as caught:
        store.find(TASK, KEY)
    fault = caught.value.faults[0]
    assert fault.found == f"credentials refused by {s3_server.url}: InvalidAccessKeyId"
    assert fault.next.startswith("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    assert "canary-secret" not in str(caught.value)


def test_credentials_that_are_refused_to_a_pod_are_those_of_a_secret(
    s3_server: S3Server, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    s3_server.answers.append(lambda _: ("403 Forbidden", b"<Error><Code>AccessDenied</Code></Error>"))
    with pytest.raises(
        PrerequisiteError, match=r"next: +mend .* Secret kubernetes\.secrets\.storage, then run"
    ):
        store.find(TASK, KEY)


def test_missing_credentials_are_a_prerequisite(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "absent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "absent")
    with pytest.raises(PrerequisiteError, match=r"credentials refused by .*: NoCredentialsError"):
        Store.parse("s3://spica/runs").find(TASK, KEY)


@pytest.mark.parametrize("method", ["find", "publish"])
def test_a_missing_bucket_is_a_prerequisite(s3: Any, tmp_path: Path, method: str) -> None:
    store = Store.parse("s3://absent/runs")
    folder = write_files(tmp_path / "made", model_bin="weights")
    with pytest.raises(PrerequisiteError, match="no such bucket at http") as caught:
        if method == "find":
            store.find(TASK, KEY)
        else:
            store.publish(folder, manifest_of(folder))
    assert caught.value.faults[0].next == "`aws s3 mb s3://absent`, then run the same command again"


def test_an_endpoint_that_is_down_is_a_prerequisite(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    with pytest.raises(PrerequisiteError) as caught:
        Store.parse("s3://spica/runs").find(TASK, KEY)
    assert caught.value.faults[0].found == "no connection to http://127.0.0.1:9: EndpointConnectionError"


def test_an_endpoint_that_dies_during_an_upload_leaves_no_manifest(
    s3: Any, s3_server: S3Server, store: Store, tmp_path: Path
) -> None:
    s3_server.answers.append(
        lambda environ: (
            ("503 Slow Down", b"<Error><Code>SlowDown</Code></Error>")
            if environ["PATH_INFO"].endswith("model.bin")
            else None
        )
    )
    folder = write_files(tmp_path / "made", model_bin="weights", images__a_png="pixels")
    with pytest.raises(PrerequisiteError, match="overloaded or broken: SlowDown"):
        store.publish(folder, manifest_of(folder))
    s3_server.answers.clear()
    assert store.find(TASK, KEY) is None


def test_a_full_disk_while_fetching_leaves_no_copy(
    store: Store, tmp_path: Path, full_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_files(tmp_path / "made", a_bin="x" * 700_000, b_bin="y" * 700_000)
    manifest = store.publish(folder, manifest_of(folder))
    monkeypatch.setenv("SPICA_STATE", str(full_disk))
    if shutil.disk_usage(full_disk).total > 1 << 20:  # Mounting is not allowed here.
        monkeypatch.setattr(S3Store, "_download", lambda *_: os.fsync(0))
    with pytest.raises(PrerequisiteError, match="disk full"):
        store.fetch(manifest)
    assert [path for path in full_disk.rglob("*") if path.is_file()] == []


def test_two_threads_that_fetch_one_artifact_both_get_it(store: Store, manifest: Manifest) -> None:
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(store.fetch(manifest))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and len(set(found)) == 1


def test_a_store_that_was_there_and_is_away_for_a_while_is_waited_for(
    s3_server: S3Server, store: Store, manifest: Manifest
) -> None:
    refusals = ["503 Slow Down"]

    def answer(_: object) -> tuple[str, bytes] | None:
        return (refusals.pop(), b"<Error><Code>SlowDown</Code></Error>") if refusals else None

    s3_server.answers.append(answer)
    assert store.find(TASK, KEY) == manifest
    assert refusals == []


def test_a_store_that_never_answered_is_not_waited_for(
    s3_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (s3_environment | {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(PrerequisiteError, match=r"no connection to http://127\.0\.0\.1:9"):
        S3Store("away", "runs").find(TASK, KEY)

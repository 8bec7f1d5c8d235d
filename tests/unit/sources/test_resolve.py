import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from spica.artifacts.code import module_digest
from spica.artifacts.resolve import fingerprint, materialize
from spica.errors import PrerequisiteError, RecipeError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data/images").mkdir(parents=True)
    (tmp_path / "data/rows.jsonl").write_text("{}\n")
    (tmp_path / "data/images/1.png").write_bytes(b"pixels")
    return tmp_path / "data"


def test_a_local_folder_is_used_where_it_lies(folder: Path, tmp_path: Path) -> None:
    assert materialize(f"file://{folder}", tmp_path / "out") == folder
    assert materialize(str(folder), tmp_path / "out") == folder
    assert not (tmp_path / "out").exists()


def test_the_fingerprint_of_a_folder_follows_names_and_bytes_alone(folder: Path) -> None:
    before = fingerprint(str(folder))
    os.utime(folder / "rows.jsonl", (0, 0))
    assert fingerprint(f"file://{folder}") == before
    (folder / "rows.jsonl").rename(folder / "other.jsonl")
    renamed = fingerprint(str(folder))
    (folder / "images/1.png").write_bytes(b"pixelt")
    assert len({before, renamed, fingerprint(str(folder))}) == 3


def test_a_missing_path_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(PrerequisiteError, match=r"nothing at /.*gone\n *allowed: an existing folder"):
        materialize(f"file://{tmp_path}/gone", tmp_path / "out")


@pytest.mark.parametrize("uri", ["gs://bucket/x", "https://host/x", "file://", "s3://"])
def test_an_unknown_scheme_or_an_empty_place_is_a_fault_of_the_recipe(uri: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="allowed: file://folder, s3://"):
        fingerprint(uri)
    with pytest.raises(RecipeError, match="allowed: file://folder, s3://"):
        materialize(uri, tmp_path / "out")


def test_generated_data_is_written_anew_over_a_half_filled_folder(tmp_path: Path) -> None:
    (tmp_path / "out.part").mkdir()
    (tmp_path / "out.part/left over").write_text("x")
    made = materialize("miniature://text?seed=1&num=3", tmp_path / "out")
    assert [path.name for path in made.iterdir()] == ["questions.jsonl"]
    assert len((made / "questions.jsonl").read_text().splitlines()) == 3


def test_generated_data_is_known_by_its_uri_and_the_shipped_base_by_its_bytes() -> None:
    assert fingerprint("miniature://mmmu?seed=1") == "generated"
    assert fingerprint("miniature://base").startswith("sha256:")


def test_a_base_to_be_trained_is_known_by_the_trainers_code() -> None:
    trainer = module_digest("spica.miniature.base")
    assert fingerprint("miniature://base?size=small&seed=1") == f"code:{trainer}"


@pytest.mark.parametrize(
    ("uri", "found"),
    [
        ("miniature://nothing", "no data named 'nothing'"),
        ("miniature://vqa/DocVQA", "no data named 'vqa/DocVQA'"),
        ("miniature://teacher?wrong=0.15", "no data named 'teacher'"),
        ("miniature://text?sed=1", "parameter sed='1'"),
        ("miniature://text?num=0", "num=0"),
        ("miniature://text?num=-1", "parameter num='-1'"),
        ("miniature://text?seed=1&seed=2", "parameter seed='1,2'"),
    ],
)
def test_a_wrong_miniature_uri_says_what_there_is(uri: str, found: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=found):
        materialize(uri, tmp_path / "out")


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name, value in {
        "AWS_ENDPOINT_URL": s3_url,
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "canary-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="data")
    yield client
    for item in client.list_objects_v2(Bucket="data").get("Contents", ()):
        client.delete_object(Bucket="data", Key=item["Key"])
    client.delete_bucket(Bucket="data")


def test_an_s3_prefix_is_downloaded_and_nothing_beside_it(bucket: Any, tmp_path: Path) -> None:
    for key in ("geos/rows.jsonl", "geos/images/1.png", "geos-2/rows.jsonl", "geos/"):
        bucket.put_object(Bucket="data", Key=key, Body=key.encode())
    made = materialize("s3://data/geos/", tmp_path / "out")
    files = {
        path.relative_to(made).as_posix(): path.read_text() for path in made.rglob("*") if path.is_file()
    }
    assert files == {"rows.jsonl": "geos/rows.jsonl", "images/1.png": "geos/images/1.png"}


def test_the_fingerprint_of_an_s3_prefix_follows_its_objects(bucket: Any) -> None:
    bucket.put_object(Bucket="data", Key="geos/a", Body=b"1")
    before = fingerprint("s3://data/geos")
    assert fingerprint("s3://data/geos/") == before
    bucket.put_object(Bucket="data", Key="geos/a", Body=b"2")
    assert fingerprint("s3://data/geos") != before


def test_a_key_that_climbs_is_refused(bucket: Any, tmp_path: Path) -> None:
    bucket.put_object(Bucket="data", Key="geos/../../evil", Body=b"x")
    with pytest.raises(PrerequisiteError, match="key refused"):
        materialize("s3://data/geos", tmp_path / "out")
    assert not (tmp_path / "evil").exists()


def test_an_empty_prefix_and_a_missing_bucket_are_told_apart(bucket: Any, tmp_path: Path) -> None:
    with pytest.raises(PrerequisiteError, match="no objects"):
        materialize("s3://data/nothing", tmp_path / "out")
    with pytest.raises(PrerequisiteError, match="S3 answered NoSuchBucket"):
        fingerprint("s3://elsewhere/x")


def test_an_s3_endpoint_that_is_down_is_named_without_the_secret(
    bucket: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(PrerequisiteError, match="check AWS_ENDPOINT_URL") as caught:
        fingerprint("s3://data/geos")
    assert "canary-secret" not in str(caught.value)
    monkeypatch.undo()


@pytest.mark.parametrize(
    "uri", ["hf://Qwen/Qwen2-VL-7B-Instruct", "Qwen/Qwen2-VL-7B-Instruct", "hf://datasets/a/b/c(d)"]
)
def test_an_unreachable_hub_is_a_missing_prerequisite(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(PrerequisiteError, match="a repository that can be read"):
        fingerprint(uri)
    with pytest.raises(PrerequisiteError, match="give the path"):
        materialize(uri, tmp_path / "out")


def test_a_pinned_hub_revision_needs_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    commit = "0123456789abcdef0123456789abcdef01234567"
    assert fingerprint(f"hf://Qwen/Qwen2-VL-7B-Instruct@{commit}") == f"commit:{commit}"


@pytest.mark.parametrize("uri", ["hf://Qwen", "hf://datasets/a", "hf://a/b@", "hf://datasets/a/b/../c"])
def test_a_malformed_hub_uri_is_a_fault_of_the_recipe(uri: str) -> None:
    with pytest.raises(RecipeError):
        fingerprint(uri)

import logging
import threading
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from spica.artifacts import s3_connection
from spica.artifacts.s3_prefix import S3Prefix
from spica.artifacts.s3_store import S3Store
from spica.artifacts.shelf import Shelf
from spica.errors import DataError, Fault, PrerequisiteError

from ...fakes.s3_server import S3Server
from .artifact_examples import KEY, write_files

PREFIX = f"runs/text/{KEY[:16]}/scratch/"
STEP = "checkpoints/step-1"


@pytest.fixture(scope="module")
def connected(s3_client: Any) -> S3Store:
    # A store keeps its client, and making one takes longer than most tests.
    return S3Store("spica", "runs")


@pytest.fixture
def shelf(s3: Any, connected: S3Store) -> Shelf:
    return connected.shelf("text", KEY)


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """A journal and a checkpoint of two files."""
    folder = write_files(tmp_path / "scratch", journal_jsonl="1\n")
    write_files(folder / STEP, manifest_json="[]", weights_bin="w")
    return folder


def requests(server: S3Server) -> list[str]:
    """Writes and deletions from now on, in order: `PUT name` and `POST names`."""
    seen: list[str] = []
    lock = threading.Lock()

    def note(environ: dict[str, Any]) -> None:
        with lock:
            if environ["REQUEST_METHOD"] == "PUT":
                seen.append(f"PUT {unquote(environ['PATH_INFO']).removeprefix(f'/spica/{PREFIX}')}")
            elif environ["REQUEST_METHOD"] == "POST":
                seen.append("POST")

    server.answers.append(note)
    return seen


def test_a_scratch_comes_back_in_a_new_folder(
    shelf: Shelf, scratch: Path, tmp_path: Path, connected: S3Store
) -> None:
    shelf.save(scratch)
    restored = connected.shelf("text", KEY).restore(tmp_path / "new")
    assert sorted(restored) == [f"{STEP}/manifest.json", f"{STEP}/weights.bin", "journal.jsonl"]
    assert (tmp_path / "new" / STEP / "weights.bin").read_text() == "w"


def test_files_that_are_there_already_are_newer(shelf: Shelf, scratch: Path, tmp_path: Path) -> None:
    shelf.save(scratch)
    here = write_files(tmp_path / "new", journal_jsonl="1\n2\n")
    assert "journal.jsonl" not in shelf.restore(here)
    assert (here / "journal.jsonl").read_text() == "1\n2\n"


def test_a_manifest_is_copied_last(s3_server: S3Server, shelf: Shelf, scratch: Path) -> None:
    seen = requests(s3_server)
    shelf.save(scratch)
    assert len(seen) == 3
    assert seen[-1] == f"PUT {STEP}/manifest.json"


def test_a_manifest_is_dropped_first(s3_server: S3Server, s3: Any, shelf: Shelf, scratch: Path) -> None:
    shelf.save(scratch)
    for path in (scratch / STEP).iterdir():
        path.unlink()
    left: list[list[str]] = []

    def look(environ: dict[str, Any]) -> None:
        if environ["REQUEST_METHOD"] == "POST":
            s3_server.answers.remove(look)
            left.append(shelf.names())
            s3_server.answers.append(look)

    s3_server.answers.append(look)
    shelf.save(scratch)
    assert f"{STEP}/manifest.json" in left[0]
    assert left[1] == [f"{STEP}/weights.bin", "journal.jsonl"]
    assert shelf.names() == ["journal.jsonl"]


def test_only_what_has_changed_is_copied(shelf: Shelf, scratch: Path) -> None:
    assert len(shelf.save(scratch)) == 3
    assert shelf.save(scratch) == []
    (scratch / "journal.jsonl").write_text("1\n2\n")
    assert shelf.save(scratch) == ["journal.jsonl"]


def test_what_was_restored_is_not_copied_back(
    shelf: Shelf, scratch: Path, tmp_path: Path, connected: S3Store
) -> None:
    shelf.save(scratch)
    again = connected.shelf("text", KEY)
    again.restore(tmp_path / "new")
    assert again.save(tmp_path / "new") == []


def test_what_another_process_put_stays(shelf: Shelf, scratch: Path, connected: S3Store) -> None:
    connected.shelf("text", KEY).write("error.json", b"{}")
    shelf.save(scratch)
    assert shelf.read("error.json") == b"{}"


def test_what_is_not_kept_reads_as_nothing(shelf: Shelf) -> None:
    assert shelf.read("error.json") is None


def test_an_older_machine_neither_overwrites_nor_drops_what_a_newer_one_has(
    shelf: Shelf, scratch: Path, tmp_path: Path, connected: S3Store, caplog: pytest.LogCaptureFixture
) -> None:
    shelf.claim()
    shelf.save(scratch)
    newer = connected.shelf("text", KEY)
    newer.claim()
    newer.restore(tmp_path / "new")
    write_files(scratch, journal_jsonl="of the older one")
    write_files(scratch / "checkpoints/step-2", manifest_json="[]")
    (scratch / STEP / "manifest.json").unlink()
    with caplog.at_level(logging.WARNING, "spica"):
        assert [shelf.save(scratch), shelf.save(scratch)] == [[], []]
        shelf.write("journal.jsonl", b"of the older one")
        shelf.drop(["journal.jsonl"])
    assert caplog.text.count("another machine goes on from here") == 1
    assert newer.names() == [f"{STEP}/manifest.json", f"{STEP}/weights.bin", "journal.jsonl"]
    assert newer.read("journal.jsonl") == b"1\n"
    write_files(tmp_path / "new", journal_jsonl="1\n2\n")
    assert newer.save(tmp_path / "new") == ["journal.jsonl"]


def test_a_machine_superseded_in_the_middle_of_a_copy_writes_no_manifest(
    s3_server: S3Server, shelf: Shelf, scratch: Path, connected: S3Store
) -> None:
    shelf.claim()

    def supersede(environ: dict[str, Any]) -> None:
        if environ["REQUEST_METHOD"] == "PUT":
            s3_server.answers.clear()
            connected.shelf("text", KEY).claim()

    s3_server.answers.append(supersede)
    assert shelf.save(scratch) == [f"{STEP}/weights.bin", "journal.jsonl"]


def test_hidden_files_and_folders_stay(shelf: Shelf, scratch: Path) -> None:
    (scratch / ".lock").write_text("")
    (scratch / "checkpoints/.part-step-2").mkdir()
    (scratch / "checkpoints/.part-step-2/weights.bin").write_text("w")
    shelf.save(scratch)
    assert shelf.names() == [f"{STEP}/manifest.json", f"{STEP}/weights.bin", "journal.jsonl"]


def test_a_file_that_vanishes_while_it_is_copied_holds_back_its_manifest(
    shelf: Shelf, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = write_files(scratch / "checkpoints/step-0", manifest_json="[]", weights_bin="w")
    upload = S3Prefix.upload

    def prune_and_upload(prefix: S3Prefix, folder: Path, names: list[str]) -> None:
        (old / "weights.bin").unlink(missing_ok=True)
        upload(prefix, folder, names)

    monkeypatch.setattr(S3Prefix, "upload", prune_and_upload)
    assert shelf.save(scratch) == [f"{STEP}/weights.bin", "journal.jsonl"]
    (old / "manifest.json").unlink()
    assert shelf.save(scratch) == [f"{STEP}/manifest.json"]
    assert shelf.names() == [f"{STEP}/manifest.json", f"{STEP}/weights.bin", "journal.jsonl"]


def test_the_background_copy_survives_a_store_that_is_away(
    s3_server: S3Server,
    shelf: Shelf,
    scratch: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(s3_connection, "PATIENCE_S", 0.0)
    refused, accepted = threading.Event(), threading.Event()

    def away(environ: dict[str, Any]) -> tuple[str, bytes]:
        refused.set()
        return "503 Service Unavailable", b""

    def back(environ: dict[str, Any]) -> None:
        if environ["REQUEST_METHOD"] == "PUT" and "manifest.json" in environ["PATH_INFO"]:
            accepted.set()

    s3_server.answers.append(away)
    with caplog.at_level(logging.WARNING, "spica"), shelf.kept(scratch, 0.01):
        assert refused.wait(20)
        s3_server.answers[:] = [back]
        assert accepted.wait(20)
    assert "scratch is not copied" in caplog.text
    assert len(shelf.names()) == 3


def test_the_background_copy_survives_any_error(
    shelf: Shelf, scratch: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = threading.Event()
    upload = S3Prefix.upload_present

    def fails_once(prefix: S3Prefix, folder: Path, names: list[str]) -> list[str]:
        monkeypatch.setattr(S3Prefix, "upload_present", uploads)
        raise RuntimeError("dictionary changed size during iteration")

    def uploads(prefix: S3Prefix, folder: Path, names: list[str]) -> list[str]:
        again.set()
        return upload(prefix, folder, names)

    monkeypatch.setattr(S3Prefix, "upload_present", fails_once)
    with caplog.at_level(logging.WARNING, "spica"), shelf.kept(scratch, 0.01):
        assert again.wait(20)
    assert "RuntimeError: dictionary changed size" in caplog.text
    assert len(shelf.names()) == 3


def test_what_ended_the_body_is_told_and_not_the_store(
    s3_server: S3Server, shelf: Shelf, scratch: Path
) -> None:
    s3_server.answers.append(lambda environ: ("503 Service Unavailable", b""))
    with pytest.raises(DataError), shelf.kept(scratch, 60.0):
        raise DataError(Fault("row 3", "nothing", "text", "give one"))


def test_a_last_copy_that_fails_is_told(s3_server: S3Server, shelf: Shelf, scratch: Path) -> None:
    s3_server.answers.append(lambda environ: ("503 Service Unavailable", b""))
    with pytest.raises(PrerequisiteError), shelf.kept(scratch, 60.0):
        pass


def test_a_body_that_fails_leaves_its_scratch_in_the_store(shelf: Shelf, scratch: Path) -> None:
    with pytest.raises(DataError), shelf.kept(scratch, 60.0):
        raise DataError(Fault("row 3", "nothing", "text", "give one"))
    assert len(shelf.names()) == 3

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from spica.artifacts.types import FileEntry
from spica.cluster import model_pod

SCALE = (
    '{"precision": "bf16", "threads": 3, "tensor_parallel": 1, "num_servers": 1, "kv_cache_gib": 2,'
    ' "max_model_len": 512, "max_images": 1}'
)
ARGUMENTS = ["--name", "D_T", "--scale", SCALE]


def entry(path: str, content: bytes) -> FileEntry:
    return FileEntry(path=path, size=len(content), sha256=hashlib.sha256(content).hexdigest())


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    (folder / "sub").mkdir(parents=True)
    (folder / "config.json").write_bytes(b"{}")
    (folder / "sub" / "model.safetensors").write_bytes(b"weights")
    return folder


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> list[FileEntry]:
    entries = [entry("config.json", b"{}"), entry("sub/model.safetensors", b"weights")]
    monkeypatch.setenv("SPICA_FILES", json.dumps([row.model_dump() for row in entries]))
    return entries


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], dict[str, str]]]:
    """Command lines and environments this process would have become."""
    calls: list[tuple[list[str], dict[str, str]]] = []

    def become(_: str, command: list[str], environment: dict[str, str]) -> None:
        calls.append((command, environment))

    monkeypatch.setattr(os, "execvpe", become)
    return calls


def refuse(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What stands in the termination message; the same was printed."""
    message = tmp_path / "termination-log"
    assert model_pod.main(ARGUMENTS, folder, message) == 1
    assert message.read_text() in capsys.readouterr().err
    return message.read_text()


def test_equal_bytes_are_served(models: Path, files: list[FileEntry], started: list[Any]) -> None:
    model_pod.main(ARGUMENTS, models)
    [(command, environment)] = started
    assert command[1:7] == ["-m", "spica.launch.vllm_server", "--host", "0.0.0.0", "--port", "8080"]
    assert command[7:11] == ["--model", str(models), "--served-model-name", "D_T"]
    assert environment["OMP_NUM_THREADS"] == "3"
    assert environment["VLLM_CPU_KVCACHE_SPACE"] == "2"


def test_one_flipped_bit_is_refused(
    models: Path,
    files: list[FileEntry],
    started: list[Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (models / "sub" / "model.safetensors").write_bytes(b"weightr")
    text = refuse(models, tmp_path, capsys)
    assert text.startswith("IntegrityError: ")
    assert "sub/model.safetensors" in text
    assert files[1].sha256 in text
    assert not started


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda folder: (folder / "config.json").unlink(), "missing"),
        (lambda folder: (folder / "more.bin").write_bytes(b"x"), "an extra file"),
        (lambda folder: (folder / "config.json").write_bytes(b"{"), "1 bytes"),
        (lambda folder: (folder / "link").symlink_to("/etc/passwd"), "a link"),
    ],
)
def test_other_files_are_refused(
    change: Any,
    found: str,
    models: Path,
    files: list[FileEntry],
    started: list[Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    change(models)
    assert found in refuse(models, tmp_path, capsys)
    assert not started


def test_an_empty_file_that_was_left_out_is_no_difference(models: Path) -> None:
    kept = [entry("config.json", b"{}"), entry("sub/model.safetensors", b"weights"), entry("empty", b"")]
    model_pod.verify(models, kept)
    (models / "empty").touch()
    model_pod.verify(models, kept)


@pytest.mark.parametrize("value", ["", "[", '[{"path": "../x", "size": 1, "sha256": "00"}]'])
def test_a_list_that_cannot_be_read_is_refused(
    value: str, models: Path, started: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPICA_FILES", value)
    assert model_pod.main(ARGUMENTS, models, tmp_path / "message") == 3
    assert "SPICA_FILES" in (tmp_path / "message").read_text()
    assert not started

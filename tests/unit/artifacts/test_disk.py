import errno
from pathlib import Path

import pytest

from spica.artifacts.disk import atomic_file, disk_faults
from spica.errors import PrerequisiteError


def test_an_atomic_file_keeps_its_old_content_when_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text("old")
    with pytest.raises(ValueError), atomic_file(path) as file:
        file.write(b"new")
        raise ValueError
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("run.json", "old")]


def test_a_folder_that_may_not_be_written_is_a_prerequisite(tmp_path: Path) -> None:
    with pytest.raises(PrerequisiteError, match="no permission to write"), disk_faults(tmp_path / "store"):
        raise PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "store" / "x"))


def test_a_permission_fault_elsewhere_passes_unchanged(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), disk_faults(tmp_path / "store"):
        raise PermissionError(errno.EACCES, "Permission denied", "/elsewhere/data.json")


def test_a_full_disk_elsewhere_is_named_by_its_own_path(tmp_path: Path) -> None:
    with pytest.raises(PrerequisiteError) as caught, disk_faults(tmp_path / "store"):
        raise OSError(errno.ENOSPC, "No space left on device", "/elsewhere/data.json")
    assert caught.value.faults[0].where == "/elsewhere/data.json"


def test_a_copy_that_fills_the_disk_is_named_by_its_target(tmp_path: Path) -> None:
    target = str(tmp_path / "store" / "model.safetensors")
    with pytest.raises(PrerequisiteError) as caught, disk_faults(tmp_path / "state" / "work"):
        raise OSError(errno.ENOSPC, "No space left on device", "/elsewhere/model.safetensors", None, target)
    assert caught.value.faults[0].where == target


def test_a_file_where_a_folder_is_needed_is_a_prerequisite(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(PrerequisiteError, match="a file stands where"), disk_faults(tmp_path / "state" / "x"):
        (tmp_path / "state" / "x").mkdir()

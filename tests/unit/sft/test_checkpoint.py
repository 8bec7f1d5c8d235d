"""Checkpoints that cannot be written, and checkpoints that must not be exported."""

import errno
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from spica.artifacts.disk import disk_faults
from spica.errors import IntegrityError, PrerequisiteError
from spica.sft import checkpoint
from spica.sft.checkpoint import Progress, system_errors, verify


def write_shards(folder: Path, num_floats: int) -> None:
    checkpoint._write_shards(folder, "weights", iter([("a", torch.zeros(num_floats))]), writes=True)


@pytest.fixture
def full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A disk of 1 MiB where mounting is allowed, else the error that safetensors 0.8 raises on one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(mount, stderr=subprocess.DEVNULL, check=False).returncode == 0:
        yield folder
        subprocess.run(["umount", str(folder)], check=True)
    else:

        def save_file(*_: object) -> None:
            raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

        monkeypatch.setattr(checkpoint, "save_file", save_file)
        yield folder


def test_a_disk_that_fills_up_under_safetensors_is_a_fault_in_four_parts(full_disk: Path) -> None:
    with pytest.raises(PrerequisiteError) as raised, disk_faults(full_disk), system_errors():
        write_shards(full_disk, 2**20)
    (fault,) = raised.value.faults
    assert fault.where == str(full_disk)
    assert fault.found.startswith("disk full, ")
    assert all(fault)


def test_the_systems_error_comes_out_of_safetensors_with_its_number(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large") as raised, system_errors():
            write_shards(tmp_path, 2**20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert raised.value.errno == errno.EFBIG


def test_another_error_of_safetensors_stays_what_it_is() -> None:
    with pytest.raises(SafetensorError, match="invalid header"), system_errors():
        raise SafetensorError("invalid header")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A checkpoint of one parameter, `a`."""
    folder = tmp_path / "step-00000001"
    folder.mkdir()
    write_shards(folder, 4)
    checkpoint._finish(folder, Progress(step=1), [])
    return folder


def test_a_checkpoint_of_the_trained_parameters_may_be_exported(saved: Path) -> None:
    verify(saved, ["a"])
    assert [name for name, _ in checkpoint.read_weights(saved)] == ["a"]


@pytest.mark.parametrize("trained", [["a", "b"], ["b"], []])
def test_a_checkpoint_of_other_parameters_is_not_exported(saved: Path, trained: list[str]) -> None:
    with pytest.raises(IntegrityError, match="saved or trained alone"):
        verify(saved, trained)


def test_an_altered_checkpoint_is_not_exported(saved: Path) -> None:
    (saved / "weights-00000.safetensors").write_bytes(b"altered")
    with pytest.raises(IntegrityError, match="differs from its manifest"):
        verify(saved, ["a"])

"""What of the test cluster can be tried without one."""

import base64
import fcntl
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from bed import archive, lock, processes
from bed.objects import manifest
from spica.errors import LockedError

from . import figures
from .leaks import forms


def test_the_same_files_give_the_same_archive_whatever_their_times(tmp_path: Path) -> None:
    archives = []
    for attempt, mtime in enumerate((1_000, 2_000)):
        program = tmp_path / f"program-{attempt}"
        program.write_bytes(b"\x7fELF")
        os.utime(program, (mtime, mtime))
        layer, out = tmp_path / f"layer-{attempt}.tar", tmp_path / f"image-{attempt}.tar"
        archive.program_layer(layer, {"/bin/program": program})
        archive.image(out, "localhost/spica/program:1", [layer], entrypoint=["/bin/program"])
        archives.append(out.read_bytes())
    assert archives[0] == archives[1]


def test_a_folder_lies_in_its_layer_under_the_given_path_and_is_roots(tmp_path: Path) -> None:
    (tmp_path / "site" / "kfp").mkdir(parents=True)
    (tmp_path / "site" / "kfp" / "__init__.py").touch()
    os.utime(tmp_path / "site" / "kfp" / "__init__.py", (5, 5))
    archive.folder_layer(tmp_path / "layer.tar", tmp_path / "site", at="/opt/site")
    with tarfile.open(tmp_path / "layer.tar") as tar:
        entries = [(entry.name, entry.uid, entry.mtime) for entry in tar]
    assert entries == [("opt/site/kfp", 0, 0), ("opt/site/kfp/__init__.py", 0, 0)]


def test_a_process_that_was_given_an_old_pid_is_not_taken_for_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "STATE", tmp_path)
    (tmp_path / "pid").mkdir()
    (tmp_path / "pid" / "etcd").write_text(f"{os.getpid()} 1")
    assert not processes.alive("etcd")


def test_a_zombie_is_not_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "STATE", tmp_path)
    child = subprocess.Popen(["sleep", "60"])
    started = Path(f"/proc/{child.pid}/stat").read_text().rpartition(") ")[2].split()[19]
    (tmp_path / "pid").mkdir()
    (tmp_path / "pid" / "etcd").write_text(f"{child.pid} {started}")
    assert processes.alive("etcd")
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # ended, and not yet reaped
    assert not processes.alive("etcd")
    child.wait()


def test_the_lock_says_who_holds_it_and_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "FILE", tmp_path / "lock")
    lock.hold()
    with (tmp_path / "lock").open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(LockedError) as raised, lock.operation():
            pass
    assert f"pid {os.getpid()}" in str(raised.value)
    assert "make cluster-down" in str(raised.value)


def test_the_cluster_of_another_cache_is_refused_with_the_command_that_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "FILE", tmp_path / "lock")
    lock.hold()
    monkeypatch.setattr(lock, "STATE", tmp_path / "mine" / "cluster")
    with pytest.raises(LockedError, match=r"SPICA_CACHE=.* make cluster-down"), lock.operation():
        pass


def test_manifests_leave_no_placeholder() -> None:
    for name in ("dns", "kfp", "minio", "simulated-pods", "training-operator"):
        assert "${" not in manifest(name)


def test_a_row_of_an_earlier_part_stays_until_it_is_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "RESULTS", tmp_path)
    for seconds in ("9 s", "8 s"):
        part = figures.Figures()
        part.add("64 GPUs bound", "<= 10 s", seconds)
        if seconds == "9 s":
            part.add("serving", "answers", "31 s")
        path = part.write("1 passed")
    text = path.read_text()
    assert "| 64 GPUs bound | <= 10 s | 8 s |\n| serving | answers | 31 s |\n" in text
    assert text.count("1 passed") == 2


@pytest.mark.parametrize("before", ["", "k", "key=", "HTTP_PROXY=http://spica:"])
def test_a_secret_is_found_in_the_base64_of_what_holds_it(before: str) -> None:
    value = b"0123456789abcdef"
    encoded = base64.b64encode(before.encode() + value + b"@proxy:3128")
    assert any(form in encoded for form in forms(value))
    assert not any(form in base64.b64encode(before.encode() + b"another value") for form in forms(value))

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from spica.artifacts.manifest import Artifact, Manifest
from spica.artifacts.workspace import Workspace
from spica.errors import EndpointError, PrerequisiteError
from spica.launch.contract import CommandServer, ModelServer, Training
from spica.launch.local import LocalLauncher
from spica.launch.processes import Process, identify, is_alive
from spica.recipe.slices import ServerScale

HERE = Path(__file__).parent


def wait_for(condition: Callable[[], bool], timeout_s: float = 30.0) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def tree(folder: Path, *args: str, ready_timeout_s: float = 30.0) -> CommandServer:
    environment = {"PYTHONPATH": str(HERE)}
    return CommandServer("tree", "tree_server", args, folder / "tree.log", environment, ready_timeout_s)


def family(folder: Path) -> list[Process]:
    members = [identify(pid) for pid in json.loads((folder / "pids.json").read_text())]
    return [member for member in members if member]


def test_a_server_answers_and_names_its_model(tmp_path: Path) -> None:
    with LocalLauncher(tmp_path).serve(tree(tmp_path)) as endpoint:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{endpoint.url}/models") as response:
            assert response.status == 200
        assert endpoint.model == "tree"
        endpoint.check()


def test_leaving_the_context_ends_the_whole_family(tmp_path: Path) -> None:
    with LocalLauncher(tmp_path).serve(tree(tmp_path, "--family", str(tmp_path / "pids.json"))):
        members = family(tmp_path)
        assert len(members) == 3
    assert not [member for member in members if is_alive(member)]
    assert list((tmp_path / "processes").iterdir()) == []


OWNER = """
    import sys, time
    from pathlib import Path
    from spica.launch.contract import CommandServer
    from spica.launch.local import LocalLauncher

    folder = Path(sys.argv[1])
    args = ("--family", str(folder / "pids.json"))
    server = CommandServer("tree", "tree_server", args, folder / "log", {"PYTHONPATH": sys.argv[2]})
    LocalLauncher(folder).serve(server)
    print("up", flush=True)
    time.sleep(1000)
"""


def test_kill_9_of_the_owner_leaves_no_process(tmp_path: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(OWNER), str(tmp_path), str(HERE)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout and owner.stdout.readline() == "up\n"
        members = family(tmp_path)
        assert len(members) == 3
        owner.kill()
    assert wait_for(lambda: not [member for member in members if is_alive(member)])
    assert wait_for(lambda: not list((tmp_path / "processes").iterdir()))


def test_the_next_start_reaps_what_a_killed_guard_left(tmp_path: Path) -> None:
    command = [sys.executable, "-c", textwrap.dedent(OWNER), str(tmp_path), str(HERE)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout and owner.stdout.readline() == "up\n"
        members = family(tmp_path)
        record = next((tmp_path / "processes").glob("*.json"))
        assert wait_for(lambda: all(f"[{pid}, {start}]" in record.read_text() for pid, start in members))
        guard = int(Path(f"/proc/{members[0].pid}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(guard, signal.SIGKILL)
        owner.kill()
    LocalLauncher(tmp_path)
    assert wait_for(lambda: not [member for member in members if is_alive(member)])


def test_a_dead_servers_check_carries_the_last_log_lines(tmp_path: Path) -> None:
    with LocalLauncher(tmp_path).serve(tree(tmp_path, "--family", str(tmp_path / "pids.json"))) as endpoint:
        os.kill(family(tmp_path)[0].pid, signal.SIGKILL)

        def fails() -> bool:
            try:
                endpoint.check()
            except EndpointError as error:
                return "exit code 137" in str(error) and '"GET /v1/models HTTP/1.1" 200' in str(error)
            return False

        assert wait_for(fails)


def test_a_server_that_ends_while_it_starts_is_an_endpoint_error(tmp_path: Path) -> None:
    with pytest.raises(EndpointError, match="exit code 1; its last lines:\n    no weights here"):
        LocalLauncher(tmp_path).serve(tree(tmp_path, "--say", "no weights here"))


def test_the_first_error_in_the_log_is_told_as_the_cause(tmp_path: Path) -> None:
    said = "(Engine pid=7) ERROR 11-21 [core.py:9] SafetensorError: header too large\nRuntimeError: no engine"
    with pytest.raises(EndpointError, match=r"exit code 1 \(SafetensorError: header too large\); its last"):
        LocalLauncher(tmp_path).serve(tree(tmp_path, "--say", said))


def test_a_missing_library_is_a_prerequisite(tmp_path: Path) -> None:
    said = "libnuma.so.1: cannot open shared object file: No such file or directory"
    with pytest.raises(PrerequisiteError, match=r"libnuma\.so\.1 is not installed"):
        LocalLauncher(tmp_path).serve(tree(tmp_path, "--say", said))


def test_a_server_that_never_answers_is_ended_and_named(tmp_path: Path) -> None:
    server = tree(tmp_path, "--family", str(tmp_path / "pids.json"), "--silent", ready_timeout_s=2.0)
    with pytest.raises(EndpointError, match="not ready after 2 s"):
        LocalLauncher(tmp_path).serve(server)
    assert not family(tmp_path)


def model_server(folder: Path, port: int) -> ModelServer:
    scale = ServerScale(
        precision="bf16",
        threads=1,
        tensor_parallel=1,
        num_servers=1,
        kv_cache_gib=1,
        max_model_len=128,
        max_images=1,
    )
    checkpoint = Artifact(Manifest.model_construct(), "", lambda _: folder)
    return ModelServer(name="m", checkpoint=checkpoint, logs=folder / "log", scale=scale, port=port)


def test_a_port_in_use_is_a_prerequisite(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = model_server(tmp_path, taken.getsockname()[1])
        with pytest.raises(PrerequisiteError, match="Address already in use"):
            LocalLauncher(tmp_path).serve(server)


def test_a_port_beyond_65535_is_a_prerequisite(tmp_path: Path) -> None:
    with pytest.raises(PrerequisiteError, match="port must be 0-65535"):
        LocalLauncher(tmp_path).serve(model_server(tmp_path, 99999))


def test_several_nodes_need_another_launcher(tmp_path: Path) -> None:
    with pytest.raises(PrerequisiteError, match="8 nodes"):
        LocalLauncher(tmp_path).train(replace(training(tmp_path, "ends"), num_nodes=8))


def training(folder: Path, mode: str) -> Training:
    def publish(*_: object) -> Manifest:
        raise NotImplementedError

    out = Workspace(folder / "files", folder, publish)
    return Training("sft", "rank", mode, {}, out, 1, 2, 1, folder / "train.log")


@pytest.mark.slow
def test_a_jobs_lines_are_watched_and_its_exit_code_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    (tmp_path / "train.log").write_text("an earlier attempt\n")
    job = LocalLauncher(tmp_path).train(training(tmp_path, "ends"))
    assert sorted(line for line in job.watch() if line.startswith(("rank", "an"))) == [
        "rank 0 of 2, threads 1",
        "rank 1 of 2, threads 1",
    ]
    assert job.wait() == 0


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["saves", "hangs"])
def test_stop_lets_every_rank_save_and_then_kills(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    job = LocalLauncher(tmp_path).train(training(tmp_path, mode))
    assert wait_for(lambda: len(list(tmp_path.glob("pid-?"))) == 2, 60)
    ranks = [identify(int(path.read_text())) for path in tmp_path.glob("pid-?")]
    job.stop(grace_s=5.0)
    assert {path.name for path in tmp_path.glob("saved-?")} == {"saved-0", "saved-1"}
    assert not [rank for rank in ranks if rank and is_alive(rank)]
    assert job.wait() != 0

"""The miniature through KFP's local runner, with fewer rows: real teacher, ranks, vLLM; Ctrl-C; kill -9.

One folder sees it all: Ctrl-C in a training, kill -9 while vLLM serves, the run to the end, runs after that.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from spica.artifacts.runs import list_runs
from spica.artifacts.store import Store
from spica.launch.processes import Process, descendants, identify, kill
from spica.recipe.load import find_recipe

pytestmark = pytest.mark.slow

NUM_TASKS = 20


def small_recipe(folder: Path, **changes: Any) -> Path:
    """The shipped miniature with fewer rows and epochs; its store and state lie in `folder`."""
    recipe = yaml.safe_load(find_recipe("miniature").read_text())
    recipe["name"] = "small"
    recipe["store"] = f"file://{folder}/store"
    sizes = {"text": 160, "visual": 12, "dev": 16, "benchmarks": 14}
    for section, num in sizes.items():
        for source in recipe["sources"][section]:
            source["uri"] = source["uri"].partition("&num=")[0] + f"&num={num}"
            source["num_rows"] = num if section == "benchmarks" else None
    recipe["dataset"]["num_val"] = 4
    recipe["dataset"]["max_bad_fraction"] = 0.5
    recipe["sft"] |= {"epochs": 3, "batch_size": 4}
    recipe["profiles"] = {"laptop": recipe["profiles"]["laptop"]}
    recipe["distill"]["visual"]["num_rollouts"] = 2
    for section, values in changes.items():
        recipe[section] |= values
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


class Folder:
    """A folder in which runs happen."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.state = path / "state"

    @contextmanager
    def start(self, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
        process = subprocess.Popen(
            [sys.executable, "-m", "spica_pipelines.cli", *arguments],
            cwd=self.path,
            env={**os.environ, "SPICA_STATE": str(self.state)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                kill([*descendants(process.pid), *filter(None, [identify(process.pid)])])
            assert process.stdout
            process.stdout.close()
            process.wait()

    def call(self, *arguments: str) -> tuple[int, str]:
        with self.start(*arguments) as process:
            output, _ = process.communicate()
        return process.returncode, output

    def digests(self) -> dict[str, str]:
        return {task.task: task.digest for task in list_runs(self.state)[0].tasks}

    def made(self) -> set[str]:
        return {task.task for task in list_runs(self.state)[0].tasks if not task.cached}

    def processes(self) -> list[Process]:
        """Living processes that work in this folder.

        Every process of a run inherits it, and keeps it when it renames itself (as vLLM's engine does, which
        overwrites its command line and its environment).
        """
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if (entry / "cwd").readlink() == self.path:
                    found.append(identify(int(entry.name)))
        return [process for process in found if process]

    def processes_left(self, patience_s: float) -> list[str]:
        """Names of those that still live after some time for the guards to end them."""
        wait_for(lambda: not self.processes(), patience_s)
        return [name_of(process) for process in self.processes()]


def wait_for(condition: Callable[[], bool], patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    while not (met := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return met


def name_of(process: Process) -> str:
    """Its command line; empty when it is gone."""
    with suppress(OSError):
        return Path(f"/proc/{process.pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def read_until(process: "subprocess.Popen[str]", found: Callable[[str], bool]) -> list[str]:
    """The lines that a process prints, up to the first that is looked for."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if found(line):
            return lines
    pytest.fail("it ended without the line that was waited for:\n" + "".join(lines))


class Ended(NamedTuple):
    """A run that did not come to its end."""

    folder: Folder
    code: int
    lines: list[str]
    left: list[str]
    """Processes that outlived it."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Folder]:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends the tests ends their runs
    folder = Folder(tmp_path_factory.mktemp("small"))
    small_recipe(folder.path)
    yield folder
    kill(folder.processes())


@pytest.fixture(scope="module")
def stopped(folder: Folder) -> Ended:
    """A run that got SIGINT in the second epoch of the first training."""
    with folder.start("run", "small.yaml") as process:
        lines = read_until(process, lambda line: line.startswith("sft D_T epoch 1/"))
        process.send_signal(signal.SIGINT)
        lines += process.communicate()[0].splitlines(keepends=True)
    return Ended(folder, process.returncode, lines, folder.processes_left(patience_s=2))


@pytest.fixture(scope="module")
def steps_done(stopped: Ended) -> int:
    """Steps that the stopped training took."""
    [metrics] = stopped.folder.state.glob("work/sft-d_t/*/scratch/metrics.jsonl")
    return max(int(json.loads(line)["step"]) for line in metrics.read_text().splitlines())


@pytest.fixture(scope="module")
def killed(stopped: Ended, steps_done: int) -> Ended:
    """The same command again, killed by SIGKILL when vLLM's engine ran for an evaluation."""
    folder = stopped.folder
    with folder.start("run", "small.yaml") as process:
        lines = read_until(process, lambda line: line.startswith("sft-d_t: done"))
        lines += read_until(process, lambda line: line.startswith("evaluate-"))

        def serves() -> bool:
            return any("EngineCore" in name_of(member) for member in descendants(process.pid))

        assert wait_for(serves, patience_s=300)
        assert any("EngineCore" in name_of(member) for member in folder.processes())
        process.kill()
        process.wait()
    return Ended(folder, process.returncode, lines, folder.processes_left(patience_s=30))


@pytest.fixture(scope="module")
def finished(killed: Ended) -> Folder:
    """The same folder after the same command was given once more."""
    assert killed.left == [], "processes outlived their run"
    code, output = killed.folder.call("run", "small.yaml")
    assert code == 0, output
    return killed.folder


def test_ctrl_c_in_a_training_says_that_nothing_is_lost(stopped: Ended) -> None:
    assert (stopped.code, stopped.left) == (130, [])
    last = "spica: stopped; nothing is lost, and this goes on from there: spica run small.yaml\n"
    assert stopped.lines[-1] == last
    assert list_runs(stopped.folder.state)[-1].status == "interrupted"


def test_the_stopped_training_goes_on_at_the_very_step(steps_done: int, killed: Ended) -> None:
    [line] = (line for line in killed.lines if " goes on from step " in line)
    assert line.startswith(f"sft D_T goes on from step {steps_done}/")


def test_kill_9_while_vllm_serves_leaves_no_process(killed: Ended) -> None:
    assert (killed.code, killed.left) == (-signal.SIGKILL, [])
    assert list_runs(killed.folder.state)[0].status == "killed"


def test_a_run_goes_on_from_what_stopped_and_killed_ones_finished(finished: Folder) -> None:
    last, second, first = list_runs(finished.state)
    assert [run.status for run in (first, second, last)] == ["interrupted", "killed", "succeeded"]
    kept = {task.task: task.digest for run in (first, second) for task in run.tasks}
    assert {"student", "text", "distill-d_t", "dataset-d_t", "sft-d_t"} <= set(kept)
    assert {task: finished.digests()[task] for task in kept} == kept
    assert finished.made().isdisjoint(kept)
    assert finished.processes_left(patience_s=2) == []


def test_every_task_leaves_a_verified_artifact(finished: Folder) -> None:
    run = list_runs(finished.state)[0]
    assert (run.status, len(run.tasks)) == ("succeeded", NUM_TASKS)
    store = Store.parse(f"file://{finished.path}/store")
    for task in run.tasks:
        manifest = store.find(task.task, task.key)
        assert manifest is not None
        store.verify(manifest)
        assert manifest.digest == manifest.payload_digest() == task.digest


def test_the_report_holds_what_it_promises(finished: Folder) -> None:
    [path] = (finished.path / "store" / "report").glob("*/report.json")
    report = json.loads(path.read_text())
    models = {"base", "control", "D_T", "D_SD", "D_T+D_SD"}
    assert report["schema_version"] == 1
    assert set(report["table2"]) == set(report["by_steps"]) == models
    for row in report["table2"].values():
        assert {"mathverse", "mathvision", "olympiadbench", "mmmu", "mean"} <= set(row)
        assert 0 <= row["mmmu"]["ci95"][0] <= row["mmmu"]["accuracy"] <= row["mmmu"]["ci95"][1] <= 1
    assert set(report["by_steps"]["base"]) >= {"text", "visual"}
    assert report["stages"]["sft-d_t"]["tokens"] > 0
    page = (path.parent / "report.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page


def test_the_latest_report_can_be_shown_again(finished: Folder) -> None:
    code, output = finished.call("report")
    assert code == 0, output
    assert "report.html" in output


def test_the_best_model_is_served_and_asked(finished: Folder) -> None:
    [picture, *_] = sorted((finished.path / "store" / "held-out").glob("*/images/*.png"))
    with finished.start("serve", "--port", "0") as server:
        line = read_until(server, lambda line: " answers at " in line)[-1]
        url = line.split(" answers at ")[1].split()[0]
        code, output = finished.call("ask", "--url", url, "--image", str(picture), "c+h=?")
        assert code == 0, output
        assert "thought" in output
        assert "solution" in output
        code, output = finished.call("ask", "--url", url, "--image", "nowhere.png", "c+h=?")
        assert (code, "Traceback" in output) == (1, False)
        assert "nowhere.png" in output
        server.send_signal(signal.SIGINT)
        server.communicate()
    assert (server.returncode, finished.processes_left(patience_s=2)) == (130, [])


def test_an_unchanged_run_does_nothing(finished: Folder) -> None:
    before = finished.digests()
    code, output = finished.call("run", "small.yaml")
    assert code == 0, output
    assert finished.made() == set()
    assert finished.digests() == before


def test_a_change_in_serve_runs_serve_alone(finished: Folder) -> None:
    small_recipe(finished.path, serve={"max_tokens": 150})
    code, output = finished.call("run", "small.yaml")
    assert code == 0, output
    assert finished.made() == {"serve"}


def test_a_second_run_says_who_holds_the_first_and_ctrl_c_twice_ends_that_at_once(finished: Folder) -> None:
    small_recipe(finished.path, evaluate={"max_tokens": 150})
    with finished.start("run", "small.yaml") as process:
        read_until(process, lambda line: line.startswith("evaluate-"))
        code, output = finished.call("run", "small.yaml")
        assert code == 3
        assert str(process.pid) in output
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        read_until(process, lambda line: line.startswith("spica: stopping"))
        os.killpg(process.pid, signal.SIGINT)
        process.communicate()
    assert (process.returncode, finished.processes_left(patience_s=10)) == (130, [])
    assert list_runs(finished.state)[0].status == "interrupted"

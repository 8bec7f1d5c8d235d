"""The miniature through KFP's local runner, with fewer rows: real teacher, ranks, vLLM; kill -9 too."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from spica.artifacts.runs import list_runs
from spica.artifacts.store import Store
from spica.recipe.load import find_recipe

pytestmark = pytest.mark.slow

NUM_TASKS = 21


def small_recipe(folder: Path, **changes: Any) -> Path:
    """The shipped miniature with fewer rows and one epoch; its store and state lie in `folder`."""
    recipe = yaml.safe_load(find_recipe("miniature").read_text())
    recipe["name"] = "small"
    recipe["store"] = f"file://{folder}/store"
    sizes = {"text": 160, "visual": 12, "dev": 16, "benchmarks": 14}
    for section, num in sizes.items():
        for source in recipe["sources"][section]:
            source["uri"] = source["uri"].partition("&num=")[0] + f"&num={num}"
            source.pop("num_rows", None)
    recipe["dataset"]["num_val"] = 4
    recipe["dataset"]["max_bad_fraction"] = 0.5
    recipe["sft"] |= {"epochs": 2, "batch_size": 8}
    recipe["profiles"] = {"laptop": recipe["profiles"]["laptop"]}
    recipe["distill"]["student"]["num_rollouts"] = 2
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

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "spica_pipelines.cli", *arguments],
            cwd=self.path,
            env={**os.environ, "SPICA_STATE": str(self.state)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def call(self, *arguments: str) -> tuple[int, str]:
        process = self.start(*arguments)
        output, _ = process.communicate()
        return process.returncode, output

    def digests(self) -> dict[str, str]:
        return {task.task: task.digest for task in list_runs(self.state)[0].tasks}

    def made(self) -> set[str]:
        return {task.task for task in list_runs(self.state)[0].tasks if not task.cached}


def processes_left(folder: Path, patience_s: float = 20.0) -> list[str]:
    """Command lines of processes that still mention `folder` when the guards have had time to end them."""
    deadline = time.monotonic() + patience_s
    while (found := processes_in(folder)) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def processes_in(folder: Path) -> list[str]:
    """Command lines of live processes that mention `folder`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line and str(os.getpid()) != entry.parent.name:
            found.append(line)
    return found


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """A run that got SIGKILL while the first training went on."""
    folder = Folder(tmp_path_factory.mktemp("small"))
    small_recipe(folder.path)
    process = folder.start("run", "small.yaml")
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if line.startswith("sft-d_t: started"):
            break
    else:
        pytest.fail("".join(seen))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    return folder


@pytest.fixture(scope="module")
def finished(killed: Folder) -> Iterator[Folder]:
    """The same folder after the same command was given again."""
    assert processes_left(killed.path) == [], "processes outlived their run"
    code, output = killed.call("run", "small.yaml")
    assert code == 0, output
    yield killed
    assert processes_left(killed.path) == []


def test_a_killed_run_keeps_what_was_finished(finished: Folder) -> None:
    first = list_runs(finished.state)[-1]
    assert first.status == "killed"
    kept = {task.task: task.digest for task in first.tasks}
    assert {"student", "text", "distill-d_t", "dataset-d_t"} <= set(kept)
    assert {task: finished.digests()[task] for task in kept} == kept
    assert finished.made().isdisjoint(kept)


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
    [picture, *_] = sorted((finished.path / "store" / "dev").glob("*/images/*.png"))
    server = finished.start("serve", "--port", "0")
    assert server.stdout is not None
    for line in server.stdout:
        if " answers at " in line:
            break
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
    assert server.returncode == 130


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


def test_ctrl_c_exits_130_and_the_second_run_says_who_holds_the_first(finished: Folder) -> None:
    small_recipe(finished.path, evaluate={"max_tokens": 150})
    process = finished.start("run", "small.yaml")
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("evaluate-"):
            break
    code, output = finished.call("run", "small.yaml")
    assert code == 3
    assert str(process.pid) in output
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130
    assert list_runs(finished.state)[0].status == "interrupted"

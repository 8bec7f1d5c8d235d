import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spica.artifacts.journal import Journal
from spica.artifacts.manifest import Artifact
from spica.artifacts.rows import read_jsonl
from spica.artifacts.types import Rollout
from spica.artifacts.workspace import Workspace
from spica.distill.cancel import Race, settle, still_lost
from spica.distill.run import run
from spica.launch.local import LocalLauncher

from .distill_examples import make_slice, manifest, workspace
from .metered_prompts import metered_prompts, metered_teacher
from .test_rollout_selection import rollout

Make = Callable[[str], Workspace]
CANCELLING = {"num_rollouts": 5, "max_tokens": 4096, "cancel_longer": True}
FILES = ("rollouts.jsonl", "kept.jsonl", "pass_rates.json")


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return metered_prompts(tmp_path_factory.mktemp("metered") / "prompts", 12)


@pytest.fixture(scope="module")
def counting_url() -> Iterator[str]:
    with metered_teacher(mean_tokens=60, step_s=0.003) as url:
        yield url


def distill(url: str, questions: Path, out: Workspace, cancel: bool) -> dict[str, object]:
    slice = make_slice(url, rollouts=CANCELLING | {"cancel_longer": cancel}, requests={"concurrency": 16})
    inputs = {"prompts": Artifact(manifest(), "", lambda _: questions)}
    return dict(run(slice, inputs, out, LocalLauncher(out.path.parent / "state")).metrics)


def num_generated(url: str) -> int:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url.replace("/v1", "/meter"), timeout=10) as response:
        return int(json.loads(response.read())["generated"])


def test_a_running_rollout_is_lost_once_it_cannot_be_the_lowest_any_more() -> None:
    race = Race()
    assert not race.is_lost("a", 4, 1000)
    race.finish(rollout("a", 2, "correct", 30))
    assert [race.is_lost("a", 1, num) for num in (29, 30, 31)] == [False, False, True]
    assert [race.is_lost("a", 3, num) for num in (29, 30, 31)] == [False, True, True]
    assert not race.is_lost("b", 3, 1000)


def test_only_a_correct_end_counts_and_the_shortest_of_them() -> None:
    race = Race([rollout("a", 0, "correct", 40)])
    for index, verdict, num_tokens in (
        (1, "wrong", 5),
        (2, "malformed", 6),
        (3, "correct", 20),
        (4, "correct", 25),
    ):
        race.finish(rollout("a", index, verdict, num_tokens))
    assert [race.is_lost("a", 5, num) for num in (19, 20)] == [False, True]


def test_a_cancelled_rollout_without_proof_is_asked_again() -> None:
    journalled = [
        rollout("a", 0, "correct", 30),
        rollout("a", 1, "cancelled", 31),
        rollout("a", 2, "cancelled", 30),
        rollout("b", 0, "wrong", 10),
        rollout("b", 1, "cancelled", 50),
        rollout("c", 0, "cancelled", 30),
        rollout("c", 1, "correct", 30),
    ]
    kept = [(one.id, one.index) for one in still_lost(journalled)]
    assert kept == [("a", 0), ("a", 1), ("a", 2), ("b", 0), ("c", 1)]


def test_everything_behind_the_shortest_correct_one_is_settled_as_cancelled() -> None:
    rollouts = [
        rollout("a", 0, "wrong", 10),
        rollout("a", 1, "correct", 20),
        rollout("a", 2, "wrong", 20),
        rollout("a", 3, "correct", 25),
        rollout("a", 4, "cancelled", 23),
        rollout("b", 0, "wrong", 90),
    ]
    settled = settle(rollouts)
    assert [(one.verdict, one.num_tokens, one.response) for one in settled] == [
        ("wrong", 10, "r"),
        ("correct", 20, "r"),
        ("cancelled", 20, ""),
        ("cancelled", 20, ""),
        ("cancelled", 20, ""),
        ("wrong", 90, "r"),
    ]


def test_cancelling_keeps_what_asking_all_keeps_for_fewer_tokens(
    counting_url: str, questions: Path, make_workspace: Make
) -> None:
    whole, cut = make_workspace("whole"), make_workspace("cut")
    before = num_generated(counting_url)
    all_five = distill(counting_url, questions, whole, cancel=False)
    for_all = num_generated(counting_url) - before
    cancelled = distill(counting_url, questions, cut, cancel=True)
    for_some = num_generated(counting_url) - before - for_all
    assert (cut.path / "kept.jsonl").read_bytes() == (whole.path / "kept.jsonl").read_bytes()
    assert for_some < 0.9 * for_all
    assert cancelled["num_kept"] == all_five["num_kept"] == cancelled["num_correct"]
    assert int(str(cancelled["num_cancelled"])) > 0
    assert "pass_rate" in all_five and "pass_rate" not in cancelled
    journalled = read_jsonl(cut.scratch / "rollouts.jsonl", Rollout)
    assert any(one.verdict == "cancelled" and one.response == "" for one in journalled)
    assert len(journalled) == 60


def test_an_endpoint_that_does_not_count_runs_each_rollout_to_its_end(
    questions: Path, make_workspace: Make
) -> None:
    with metered_teacher(mean_tokens=30, step_s=0.001, counts="false") as url:
        whole, cut = make_workspace("whole"), make_workspace("cut")
        distill(url, questions, whole, cancel=False)
        distill(url, questions, cut, cancel=True)
    assert (cut.path / "kept.jsonl").read_bytes() == (whole.path / "kept.jsonl").read_bytes()
    journalled = read_jsonl(cut.scratch / "rollouts.jsonl", Rollout)
    assert "cancelled" not in {one.verdict for one in journalled}


def test_a_damaged_line_of_the_winner_brings_its_cancelled_siblings_back(
    counting_url: str, questions: Path, make_workspace: Make
) -> None:
    whole = make_workspace("whole")
    distill(counting_url, questions, whole, cancel=True)
    winner = next(one for one in read_jsonl(whole.path / "kept.jsonl", Rollout))
    lines = (whole.scratch / "rollouts.jsonl").read_text().splitlines()
    kept = [line for line in lines if json.loads(line)["id"] != winner.id or '"cancelled"' in line]
    again = make_workspace("again")
    (again.scratch / "rollouts.jsonl").write_text("\n".join(kept) + "\n")
    distill(counting_url, questions, again, cancel=True)
    for name in FILES:
        assert (again.path / name).read_bytes() == (whole.path / name).read_bytes()


def test_kill_9_again_and_again_leaves_the_same_bytes(questions: Path, tmp_path: Path) -> None:
    script, killed = Path(__file__).with_name("killed_distill.py"), tmp_path / "killed"
    journal = killed / "scratch" / "rollouts.jsonl"
    with metered_teacher(mean_tokens=80, step_s=0.003, slots=8) as url:
        whole = workspace(tmp_path / "whole")
        distill(url, questions, whole, cancel=True)
        for num_rows in (10, 40):
            command = [sys.executable, str(script), url, str(questions), str(killed), json.dumps(CANCELLING)]
            with subprocess.Popen(command) as process:
                deadline = time.monotonic() + 60
                while time.monotonic() < deadline and _num_rows(journal) < num_rows:
                    time.sleep(0.003)
                os.kill(process.pid, signal.SIGKILL)
        with Journal(journal) as rows:
            assert 40 <= len(rows.rows(Rollout)) < 60
        resumed = workspace(killed)
        distill(url, questions, resumed, cancel=True)
    for name in FILES:
        assert (resumed.path / name).read_bytes() == (whole.path / name).read_bytes()


def _num_rows(journal: Path) -> int:
    return journal.read_bytes().count(b"\n") if journal.exists() else 0

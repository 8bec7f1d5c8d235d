"""`spica score` with a judge."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from spica_pipelines.cli import app

from .judge_peer import Peer, judge_peer

ROWS = (
    {"id": "1", "response": "\\boxed{a slanted square}", "gold": "rhombus", "question": "Which shape is it?"},
    {"id": "2", "response": "\\boxed{7}", "gold": "7", "question": "How long is x?"},
)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def run_score(rows: Path, peer: Peer, *more: str) -> Result:
    judge = ["--judge-url", peer.url, "--judge-model", "peer"]
    done = CliRunner().invoke(app, ["score", str(rows), "--benchmark", "mathverse", *judge, *more])
    assert done.exit_code == 0, done.output
    return done


def test_calls_and_agreement_of_the_judge_stand_beside_the_scores(rows: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.jsonl"
    with judge_peer() as peer:
        run_score(rows, peer, "--out", str(out))
        asked = len(peer.bodies)
        run_score(rows, peer, "--out", str(out))
    assert [json.loads(line)["method"] for line in out.read_text().splitlines()] == ["judge", "number"]
    card = json.loads((tmp_path / "scores.jsonl.judge.json").read_text())
    assert (card["model"], card["num_calls"], card["golden"]["num"]) == ("peer", 73, 72)
    assert card["golden"]["num_equal"] < 72 and 0.2 < card["golden"]["kappa"] < 1
    assert (asked, len(peer.bodies)) == (73, 73)  # the second time from the journal


def test_without_a_file_the_agreement_is_said_on_stderr(rows: Path) -> None:
    with judge_peer(lambda _: "1") as peer:
        done = run_score(rows, peer)
    assert len(done.stdout.splitlines()) == len(ROWS)
    assert "judge peer: 73 calls" in done.stderr and "kappa 0.000" in done.stderr

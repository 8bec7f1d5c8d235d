"""`spica score` with a judge."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from spica.errors import EndpointError
from spica_pipelines.cli import app

from .judge_peer import Peer, by_rule, judge_peer

ROWS = (
    {"id": "1", "response": "\\boxed{a slanted square}", "gold": "rhombus", "question": "Which shape is it?"},
    {"id": "2", "response": "\\boxed{7}", "gold": "7", "question": "How long is x?"},
)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def try_score(rows: Path, peer: Peer, *more: str) -> Result:
    judge = ["--judge-url", peer.url, "--judge-model", "peer"]
    return CliRunner().invoke(app, ["score", str(rows), "--benchmark", "mathverse", *judge, *more])


def run_score(rows: Path, peer: Peer, *more: str) -> Result:
    done = try_score(rows, peer, *more)
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


def scores_alone(prompt: str) -> str:
    """Judges the rows above; for all else the money is gone."""
    if "a slanted square" not in prompt:
        raise PermissionError
    return by_rule(prompt)


def test_a_judge_that_fails_on_the_golden_set_costs_no_score(rows: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.jsonl"
    with judge_peer(scores_alone) as peer:
        failed = try_score(rows, peer, "--out", str(out))
        printed = try_score(rows, peer)
    assert isinstance(failed.exception, EndpointError)
    assert [json.loads(line)["method"] for line in out.read_text().splitlines()] == ["judge", "number"]
    assert not (tmp_path / "scores.jsonl.judge.json").exists()
    assert isinstance(printed.exception, EndpointError) and printed.stdout == out.read_text()


@pytest.mark.parametrize("mode", [("mmmu", "repaired"), ("mathvision", "official")])
def test_a_judge_that_no_row_needs_is_asked_nothing(
    mode: tuple[str, str], rows: Path, tmp_path: Path
) -> None:
    out = tmp_path / "scores.jsonl"
    with judge_peer() as peer:
        run_score(rows, peer, "--benchmark", mode[0], "--mode", mode[1], "--out", str(out))
    assert peer.bodies == []
    assert len(out.read_text().splitlines()) == len(ROWS)
    assert not (tmp_path / "scores.jsonl.judge.json").exists()

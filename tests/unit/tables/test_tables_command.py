"""`spica tables`: what it writes, refuses and leaves behind when runs fail."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from spica.errors import DataError, Fault, LockedError, SpicaError
from spica.recipe.load import load_recipe
from spica_pipelines import tables_cli
from spica_pipelines.cells import Result
from spica_pipelines.cli import main
from spica_pipelines.tables import ComposedRun

REPORT: dict[str, Any] = {"table2": {}, "data_cards": {}}


def spica(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    monkeypatch.setattr("sys.argv", ["spica", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    return end.value.code


def test_recipes_writes_each_composed_recipe_as_one_that_loads_under_its_profiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "composed"

    assert spica(monkeypatch, "tables", "--subject", "virgo-72b", "--recipes", str(folder)) == 0

    assert sorted(path.stem for path in folder.iterdir()) == [
        "table2-72b-d-qvq",
        "table5-72b-1k",
        "table5-72b-3k",
        "table6-72b-hard",
        "table6-72b-random",
        "tables-72b",
    ]
    for path in folder.iterdir():
        assert load_recipe(str(path), "cluster64").recipe.name == path.stem


def test_a_table_without_a_row_of_the_subject_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert spica(monkeypatch, "tables", "study", "--subject", "virgo-7b", "--out", str(tmp_path)) == 2
    assert "no row of study" in capsys.readouterr().err


def test_a_file_where_the_folder_should_be_is_told_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()

    assert spica(monkeypatch, "tables", "table5", "--out", str(tmp_path / "file" / "out")) == 3
    assert "a file stands where a folder is needed" in capsys.readouterr().err


def run_with(monkeypatch: pytest.MonkeyPatch, faults: dict[str, BaseException]) -> list[str]:
    """Let each run end as told, at once; returns the names in the order in which they ran."""
    ran: list[str] = []

    def run_one(run: ComposedRun, profile: str) -> Result:
        ran.append(run.name)
        if run.name in faults:
            raise faults[run.name]
        return Result(run, f"id-{run.name}", 1.0, [], REPORT)

    monkeypatch.setattr(tables_cli, "_run_one", run_one)
    return ran


def unfinished(folder: Path) -> dict[str, str]:
    content = json.loads((folder / "tables.json").read_text())
    return {run["name"]: run["unfinished"] for run in content["runs"]}


def fault(found: str) -> Fault:
    return Fault("sft", found, "as said", "mend it")


def test_a_run_that_fails_leaves_the_others_their_turn_and_its_exit_code_ends_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = SpicaError(fault("loss is nan"))
    failed.exit_code = 3
    ran = run_with(monkeypatch, {"table4-7b-0-2000": failed, "table4-7b-2000-4000": DataError(fault("none"))})

    assert spica(monkeypatch, "tables", "table4", "--out", str(tmp_path)) == 3

    assert ran == ["table4-7b-0-2000", "table4-7b-2000-4000", "table4-7b-4000-8000"]
    assert unfinished(tmp_path) == {
        "table4-7b-0-2000": "failed: sft: loss is nan",
        "table4-7b-2000-4000": "failed: sft: none",
        "table4-7b-4000-8000": "",
    }
    assert "failed: sft: loss is nan" in (tmp_path / "tables.html").read_text()
    told = capsys.readouterr()
    assert "loss is nan" in told.err and "1 of 3 runs finished" in told.out


def test_ctrl_c_stops_at_once_and_leaves_the_page_of_what_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = run_with(monkeypatch, {"table4-7b-2000-4000": KeyboardInterrupt()})

    assert spica(monkeypatch, "tables", "table4", "--out", str(tmp_path)) == 130

    assert len(ran) == 2
    assert list(unfinished(tmp_path).values()) == ["", "has not run yet", "has not run yet"]


def test_what_no_run_can_do_without_ends_the_command_at_the_first_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = run_with(monkeypatch, {"table4-7b-0-2000": LockedError(fault("another run goes on"))})

    assert spica(monkeypatch, "tables", "table4", "--out", str(tmp_path)) == 3

    assert len(ran) == 1
    assert "has not run yet" in unfinished(tmp_path).values()


def test_a_page_is_made_by_the_commit_of_the_sources_where_git_tracks_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*arguments: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        subprocess.run(["git", *who, *arguments], cwd=tmp_path, check=True, capture_output=True)

    file = tmp_path / "tables_cli.py"
    file.write_text("")
    git("init")
    git("commit", "--allow-empty", "-m", "foreign")
    monkeypatch.setattr(tables_cli, "__file__", str(file))
    assert tables_cli._sources().startswith("version ")  # somebody's repository around an installed package

    git("add", file.name)
    git("commit", "-m", "own")
    assert re.fullmatch("commit [0-9a-f]{12}", tables_cli._sources())

"""`spica tables`: what it writes and refuses without running anything."""

from pathlib import Path

import pytest

from spica.recipe.load import load_recipe
from spica_pipelines.cli import main


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

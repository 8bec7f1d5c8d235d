"""`spica data drop`: sets rebuilt from what is stored."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from spica.artifacts.rows import read_jsonl, write_jsonl
from spica.artifacts.types import ChatRow, Message, Rollout
from spica.dataset.card import contents
from spica.dataset.drop import drop_from_chat
from spica.dataset.write import write_json, write_set
from spica.errors import DataError, RecipeError
from spica_pipelines.data_cli import app

from .test_dataset_run import png, prompt, rollout


def chat_row(id: str, picture: str = "", **extra: Any) -> ChatRow:
    values = {"teacher": "r1-lite", "license": "MIT", "source": "geos", "domain": "math", "num_tokens": 20}
    return ChatRow(
        id=id,
        messages=(Message(role="user", content="c=?"), Message(role="assistant", content="3")),
        images=(picture,) if picture else (),
        **(values | extra),
    )


@pytest.fixture
def chat(tmp_path: Path) -> Path:
    """Two rows each of two teachers; one of each is held out."""
    folder = tmp_path / "chat"
    folder.mkdir()
    train = [chat_row("q0", "images/a.png"), chat_row("q1", "images/b.png", teacher="qvq", license="")]
    val = [chat_row("q2"), chat_row("q3", teacher="qvq")]
    card = contents([*train, *val], len(val), "thought", "tokens")
    pictures = tmp_path / "pictures"
    (pictures / "images").mkdir(parents=True)
    for name in ("a", "b"):
        (pictures / "images" / f"{name}.png").write_bytes(png())
    write_set(folder, pictures, train, val, card | {"refused": {"unsolved": {"num": 7}}})
    (folder / "quarantine.jsonl").write_text("")
    write_json(folder / "contamination.json", {"num_hits": 0})
    return folder


def ids(path: Path) -> list[str]:
    return [row["id"] for row in json.loads(path.read_text())]


def test_a_teachers_rows_and_pictures_go_and_the_card_says_so(chat: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert drop_from_chat(chat, {"teacher": ["qvq"]}, out) == {"teacher qvq": 2}
    assert (ids(out / "train.json"), ids(out / "val.json")) == (["q0"], ["q2"])
    assert [path.name for path in (out / "images").iterdir()] == ["a.png"]
    card = json.loads((out / "card.json").read_text())
    assert (card["num_rows"], card["num_by_teacher"], card["dropped"]) == (
        2,
        {"r1-lite": 2},
        {"teacher qvq": 2},
    )
    assert card["refused"] == {"unsolved": {"num": 7}}
    assert (out / "dataset_info.json").is_file() and (out / "contamination.json").is_file()


def test_a_licence_goes_and_rows_without_one_are_called_none(chat: Path, tmp_path: Path) -> None:
    drop_from_chat(chat, {"license": ["none"]}, tmp_path / "out")
    assert ids(tmp_path / "out/train.json") == ["q0"]
    assert ids(tmp_path / "out/val.json") == ["q2", "q3"]


def test_a_rebuilt_set_can_be_dropped_from_again(chat: Path, tmp_path: Path) -> None:
    drop_from_chat(chat, {"license": ["none"]}, tmp_path / "one")
    drop_from_chat(tmp_path / "one", {"teacher": ["qvq"]}, tmp_path / "two")
    card = json.loads((tmp_path / "two/card.json").read_text())
    assert card["dropped"] == {"license none": 1, "teacher qvq": 1}
    assert ids(tmp_path / "two/val.json") == ["q2"]


def test_an_unknown_name_lists_those_that_are_there(chat: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"--teacher\n  found:   'qwq'\n  allowed: qvq, r1-lite"):
        drop_from_chat(chat, {"teacher": ["qwq"]}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_is_written_when_nothing_would_be_left(chat: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="all 2 training rows"):
        drop_from_chat(chat, {"source": ["geos"]}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_no_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train\.json"):
        drop_from_chat(tmp_path, {"source": ["geos"]}, tmp_path / "out")


def test_the_command_rebuilds_rollouts_and_counts_what_went(tmp_path: Path) -> None:
    rollouts, prompts = tmp_path / "rollouts", tmp_path / "prompts"
    for folder in (rollouts, prompts):
        (folder / "images").mkdir(parents=True)
        (folder / "images/a.png").write_bytes(png())
    write_jsonl(prompts / "prompts.jsonl", [prompt("q0", "c=?", "a"), prompt("q1", license="MIT")])
    kept = [rollout("q0"), rollout("q1", teacher="qwq")]
    write_jsonl(rollouts / "kept.jsonl", kept)
    write_jsonl(rollouts / "rollouts.jsonl", [*kept, rollout("q0", index=2, verdict="wrong")])
    arguments = ["drop", str(rollouts), "--prompts", str(prompts), "--license", "MIT"]
    done = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "out")])
    assert done.output.splitlines() == [
        "dropped license MIT: 1 rows",
        f"{tmp_path / 'out'}: 1 rows are left",
    ]
    assert [one.id for one in read_jsonl(tmp_path / "out/kept.jsonl", Rollout)] == ["q0"]
    assert len(read_jsonl(tmp_path / "out/rollouts.jsonl", Rollout)) == 2
    rates = json.loads((tmp_path / "out/pass_rates.json").read_text())
    assert rates["overall"] == 0.5
    assert (tmp_path / "out/images/a.png").is_file()


def test_a_folder_that_holds_something_is_not_written_over(chat: Path) -> None:
    done = CliRunner().invoke(app, ["drop", str(chat), "--teacher", "qvq", "--out", str(chat)])
    assert "it holds something" in str(done.exception)

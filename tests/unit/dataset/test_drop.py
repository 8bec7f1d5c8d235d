"""`spica data drop`: sets rebuilt from what is stored."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from spica.artifacts.code import module_digest
from spica.artifacts.folders import parse_manifest, verify_folder
from spica.artifacts.manifest import Manifest
from spica.artifacts.rows import read_jsonl, write_jsonl
from spica.artifacts.types import ChatRow, Message, Rollout
from spica.dataset.card import contents
from spica.dataset.drop import drop_from_chat
from spica.dataset.lineage import source_digest
from spica.dataset.write import write_json, write_set
from spica.errors import DataError, IntegrityError, PrerequisiteError, RecipeError
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


@pytest.mark.parametrize("content", [None, "{}", "[", '{"response": "thought", "refused": {}}'])
def test_a_set_without_a_whole_card_is_refused(chat: Path, tmp_path: Path, content: str | None) -> None:
    (chat / "card.json").unlink()
    if content is not None:
        (chat / "card.json").write_text(content)
    with pytest.raises(DataError, match=r"card\.json\n  found: .*\n  allowed: the card of the set\n  next: "):
        drop_from_chat(chat, {"teacher": ["qvq"]}, tmp_path / "out")


def test_a_picture_outside_of_the_set_is_refused_by_its_name(chat: Path, tmp_path: Path) -> None:
    (tmp_path / "evil.txt").write_text("x")
    train = (chat / "train.json").read_text()
    (chat / "train.json").write_text(train.replace("images/a.png", "../evil.txt"))
    with pytest.raises(DataError, match=r"0\.images\.0: Value error, '\.\./evil\.txt' is absolute, climbs"):
        drop_from_chat(chat, {"teacher": ["qvq"]}, tmp_path / "deep/out")
    assert not (tmp_path / "deep").exists()


def test_a_missing_picture_is_told_before_anything_is_written(chat: Path, tmp_path: Path) -> None:
    (chat / "images/a.png").unlink()
    with pytest.raises(DataError, match=r"1 missing, the first: images/a\.png"):
        drop_from_chat(chat, {"teacher": ["qvq"]}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_lengths_are_tokens_again_once_the_rows_without_a_count_are_gone(chat: Path, tmp_path: Path) -> None:
    card = json.loads((chat / "card.json").read_text())
    card["response_length"] = {"unit": "characters"}
    write_json(chat / "card.json", card)
    drop_from_chat(chat, {"teacher": ["qvq"]}, tmp_path / "out")
    found = json.loads((tmp_path / "out/card.json").read_text())
    assert (found["response_length"]["unit"], found["response_length"]["max"]) == ("tokens", 20)


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
    assert (rates["num_base_right"], rates["num_gold_unparsed"]) == (0, 0)
    assert (tmp_path / "out/images/a.png").is_file()


def test_a_teacher_without_kept_rollouts_can_be_dropped_and_the_bases_answers_stay(tmp_path: Path) -> None:
    rollouts, prompts, out = (tmp_path / name for name in ("rollouts", "prompts", "out"))
    rollouts.mkdir()
    prompts.mkdir()
    unparsed = prompt("q2").model_copy(update={"meta": {"gold_unparsed": "no box"}})
    write_jsonl(prompts / "prompts.jsonl", [prompt("q0"), prompt("q1", license="MIT"), unparsed])
    write_jsonl(rollouts / "kept.jsonl", [rollout("q0")])
    write_jsonl(rollouts / "rollouts.jsonl", [rollout("q0"), rollout("q1", teacher="qwq", verdict="wrong")])
    write_jsonl(rollouts / "base.jsonl", [rollout(id, teacher="base") for id in ("q0", "q1")])
    arguments = ["drop", str(rollouts), "--prompts", str(prompts), "--out", str(out), "--teacher"]
    done = CliRunner().invoke(app, [*arguments, "qwq"])
    assert done.output.splitlines() == ["dropped teacher qwq: 0 rows", f"{out}: 1 rows are left"]
    assert [one.id for one in read_jsonl(out / "rollouts.jsonl", Rollout)] == ["q0"]
    assert [one.id for one in read_jsonl(out / "base.jsonl", Rollout)] == ["q0", "q1"]
    rates = json.loads((out / "pass_rates.json").read_text())
    assert (rates["num_base_right"], rates["num_gold_unparsed"]) == (2, 1)


def test_a_question_whose_picture_lies_outside_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    rollouts, prompts = tmp_path / "rollouts", tmp_path / "prompts"
    rollouts.mkdir()
    prompts.mkdir()
    write_jsonl(rollouts / "kept.jsonl", [rollout("q0")])
    row = prompt("q0", "c=?", "a").model_dump_json().replace("images/a.png", "../evil.txt")
    (prompts / "prompts.jsonl").write_text(row + "\n")
    arguments = ["drop", str(rollouts), "--prompts", str(prompts), "--source", "geos"]
    done = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "out")])
    assert isinstance(done.exception, DataError) and "'../evil.txt' is absolute" in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_something_is_not_written_over(chat: Path) -> None:
    done = CliRunner().invoke(app, ["drop", str(chat), "--teacher", "qvq", "--out", str(chat)])
    assert "it holds something" in str(done.exception)


def drop(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["drop", *map(str, arguments)])


def read_manifest(folder: Path) -> Manifest:
    """Checked as a store checks it."""
    found = parse_manifest((folder / "manifest.json").read_bytes(), "manifest", "")
    verify_folder(folder, found, "folder", "")
    return found


def test_a_rebuilt_set_names_what_it_was_made_from_and_what_went(chat: Path, tmp_path: Path) -> None:
    assert drop(chat, "--license", "none", "--out", tmp_path / "one").exit_code == 0
    assert drop(tmp_path / "one", "--teacher", "qvq", "--out", tmp_path / "two").exit_code == 0
    one, two = (read_manifest(tmp_path / name) for name in ("one", "two"))
    assert (two.kind, two.task, two.slice) == ("chat", "drop", {"dropped": {"teacher": ["qvq"]}})
    assert (one.inputs, two.inputs) == ({"chat": source_digest(chat)}, {"chat": one.digest})
    assert two.metrics == {"num_rows": 2, "num_dropped.teacher qvq": 1}


def test_the_code_of_a_rebuilt_set_is_all_that_did_the_dropping(chat: Path, tmp_path: Path) -> None:
    assert drop(chat, "--teacher", "qvq", "--out", tmp_path / "out").exit_code == 0
    assert read_manifest(tmp_path / "out").code == module_digest("spica_pipelines.data_cli")


@pytest.mark.parametrize("place", ["chat/new", "chat/images/../new", "link/new", "prompts/deep/new"])
def test_nothing_is_written_into_what_is_read(place: str, chat: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(chat)
    (tmp_path / "prompts").mkdir()
    before = sorted(tmp_path.rglob("*"))
    done = drop(chat, "--prompts", tmp_path / "prompts", "--teacher", "qvq", "--out", tmp_path / place)
    assert isinstance(done.exception, PrerequisiteError) and "which is only read" in str(done.exception)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_artifact_that_was_altered_is_not_built_upon(chat: Path, tmp_path: Path) -> None:
    drop(chat, "--license", "none", "--out", tmp_path / "one")
    (tmp_path / "one/val.json").write_text("[]")
    done = drop(tmp_path / "one", "--teacher", "qvq", "--out", tmp_path / "two")
    assert isinstance(done.exception, IntegrityError) and "val.json" in str(done.exception)
    assert not (tmp_path / "two").exists()

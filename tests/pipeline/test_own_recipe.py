"""A recipe of one's own, whole: another size of Qwen2-VL, own questions with pictures, two arms."""

import json
from pathlib import Path

import pytest
import yaml

from spica.artifacts.runs import list_runs
from spica.artifacts.store import Store
from spica.miniature.folders import write_folder

from ..fakes.tiny_student import write_student
from .test_miniature import Folder, small_recipe

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    path = tmp_path_factory.mktemp("own")
    write_student(path / "student", hidden_size=128, num_layers=2)
    for name, seed in (("mine", 8), ("unseen", 9)):
        write_folder(f"miniature://dev?seed={seed}&num=48&choices=0", path / name)
    recipe_path = small_recipe(path, sft={"epochs": 1, "batch_size": 4})
    recipe = yaml.safe_load(recipe_path.read_text())
    recipe["models"]["student"]["path"] = f"file://{path}/student"
    recipe["sources"]["text"] = [{"name": "mine", "uri": f"file://{path}/mine", "format": "questions"}]
    recipe["sources"]["dev"] = [{"name": "unseen", "uri": f"file://{path}/unseen", "format": "questions"}]
    recipe |= {"arms": ["base", "D_T"], "gates": []}
    recipe_path.write_text(yaml.safe_dump(recipe))
    folder = Folder(path)
    code, output = folder.call("run", "small.yaml")
    assert code == 0, output
    return folder


def test_only_the_steps_of_the_compared_arms_run(finished: Folder) -> None:
    assert finished.made() == {
        *("student", "text", "held-out", "distill-d_t", "dataset-d_t", "sft-d_t"),
        *("evaluate-base", "evaluate-d_t", "report", "serve"),
    }


def test_own_questions_with_pictures_are_trained_on(finished: Folder) -> None:
    [run] = list_runs(finished.state)
    keys = {record.task: record.key for record in run.tasks}
    store = Store.parse(f"file://{finished.path}/store")
    chat = store.find("dataset-d_t", keys["dataset-d_t"])
    assert chat
    rows = json.loads((store.open(chat).path / "train.json").read_text())
    with_picture = [row for row in rows if row["images"]]
    assert len(with_picture) >= 8 and len(rows) - len(with_picture) >= 8


def test_the_report_compares_the_two_arms(finished: Folder) -> None:
    code, output = finished.call("report")
    assert code == 0
    [page] = {Path(word) for word in output.split() if word.endswith("report.html")}
    content = json.loads((finished.path / page).with_name("report.json").read_text())
    assert list(content["table2"]) == ["base", "D_T"]
    assert content["best_model"] in ("base", "D_T")

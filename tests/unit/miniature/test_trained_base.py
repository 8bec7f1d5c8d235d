"""Bases trained from nothing, with a handful of steps: what a recipe's miniature://base?... makes."""

import json
import logging
import sys
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from transformers import Qwen2VLForConditionalGeneration

from spica.artifacts.manifest import Artifact
from spica.artifacts.memo import execute
from spica.artifacts.resolve import materialize
from spica.artifacts.store import Store
from spica.errors import Fault, PrerequisiteError, RecipeError
from spica.launch.contract import Launcher
from spica.miniature import base
from spica.miniature.base_model import build_model
from spica.miniature.base_path import base_path
from spica.recipe.schema import Student
from spica.recipe.slices import StudentSlice
from spica.sources.student import run

torch.set_num_threads(1)

ALLOWED = (
    "miniature://base, or with parameters, once each: size=small|large, seed=0..999999999, steps=1..999999"
)


def num_parameters(model: Any) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def import_student(path: str, folder: Path) -> Artifact:
    slice = StudentSlice(student=Student(path=path, min_pixels=784, max_pixels=6272))
    store = Store.parse(f"file://{folder / 'store'}")
    return store.open(
        execute("student", run, slice, {}, store, lambda: cast(Launcher, None), folder / "state")
    )


def test_the_small_base_is_two_thirds_of_the_large_one() -> None:
    assert (num_parameters(build_model(0, "small")), num_parameters(build_model(0))) == (739_840, 1_084_416)


@pytest.mark.slow
def test_the_task_and_the_command_train_equal_small_bases_and_say_so_each_in_its_place(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    uri = "miniature://base?size=small&seed=1&steps=2"
    with caplog.at_level(logging.WARNING):
        made = import_student(uri, tmp_path)
    by_task = capsys.readouterr()
    again = tmp_path / "again"
    options = ["--out", str(again), "--size", "small", "--seed", "1", "--steps", "2"]
    monkeypatch.setattr(sys, "argv", ["base", *options])
    exit_code = base.main()
    by_command = capsys.readouterr()
    load: Any = Qwen2VLForConditionalGeneration.from_pretrained
    metrics = made.manifest.metrics

    assert num_parameters(load(made.path)) == num_parameters(build_model(1, "small"))
    assert metrics["num_gates_missed"] == 3
    assert isinstance(metrics["accuracy.read/visual"], float)
    assert f"{uri}: gates missed: fact, read/text, read/visual" in caplog.text
    begun = "training a small base, seed 1: 2 steps"
    assert begun in by_task.out and begun in by_command.err
    figures = {f"accuracy.{name}": value for name, value in json.loads(by_command.out).items()}
    assert (exit_code, metrics) == (1, metrics | figures)
    card = (made.path / "README.md").read_text()
    assert "2 steps on one CPU core" in card and "--size small --seed 1 --steps 2" in card
    for name in ("model.safetensors", "config.json", "README.md"):
        assert (again / name).read_bytes() == (made.path / name).read_bytes()


@pytest.mark.parametrize(("option", "value"), [("steps", "0"), ("steps", "-1"), ("seed", "-1")])
def test_the_command_refuses_what_a_uri_may_not_say(
    option: str,
    value: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["base", "--out", str(tmp_path / "out"), f"--{option}", value])
    with pytest.raises(SystemExit, match="2"):
        base.main()
    assert f"parameter {option}='{value}'; allowed is {ALLOWED}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_training_without_pytorch_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    uri = "miniature://base?seed=1"
    with pytest.raises(PrerequisiteError, match="torch is not installed") as caught:
        materialize(uri, tmp_path / "out")
    assert caught.value.faults[0].where == uri
    assert not (tmp_path / "out").exists()


def test_another_seed_begins_with_other_weights() -> None:
    first, other = (build_model(seed, "small").lm_head.weight for seed in (1, 2))
    assert not torch.equal(first, other)


def test_the_shipped_base_comes_without_parameters_only(tmp_path: Path) -> None:
    assert materialize("miniature://base", tmp_path / "out") == base_path()
    made = import_student("miniature://base", tmp_path)
    weights = base_path() / "model.safetensors"
    assert (made.path / "model.safetensors").read_bytes() == weights.read_bytes()
    assert {*made.manifest.metrics} == {"num_files", "num_bytes"}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("size=tiny", "parameter size='tiny'"),
        ("size=small&sed=1", "parameter sed='1'"),
        ("seed=1&seed=2", "parameter seed='1,2'"),
        ("seed=-1", "parameter seed='-1'"),
        ("seed=", "parameter seed=''"),
        ("seed=1000000000", "parameter seed='1000000000'"),
        ("steps=0", "parameter steps='0'"),
        ("steps=1000000", "parameter steps='1000000'"),
        ("", "no such student"),
    ],
)
def test_a_wrong_parameter_is_told_in_four_parts(query: str, found: str, tmp_path: Path) -> None:
    uri = f"miniature://base?{query}"
    with pytest.raises(RecipeError) as caught:
        materialize(uri, tmp_path / "out")
    advice = "correct the URI in the recipe, then `spica check`"
    assert caught.value.faults == (Fault("uri", repr(uri), f"{found}; allowed is {ALLOWED}", advice),)
    assert not (tmp_path / "out").exists()

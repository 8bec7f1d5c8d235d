import json
import os
import struct
from pathlib import Path
from typing import Any, cast

import pytest

from spica.artifacts.manifest import Artifact
from spica.artifacts.memo import execute
from spica.artifacts.store import Store
from spica.errors import DataError
from spica.launch.contract import Launcher
from spica.recipe.schema import Student
from spica.recipe.slices import StudentSlice
from spica.sources.student import check_checkpoint, run

NAME = "s3://models/qwen"
QWEN = "Qwen2VLForConditionalGeneration"
CONFIG = {"architectures": [QWEN], "model_type": "qwen2_vl"}


def safetensors_bytes() -> bytes:
    header = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    return struct.pack("<Q", len(header)) + header + b"\0" * 8


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    folder = tmp_path / "qwen"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    for name in ("tokenizer_config.json", "preprocessor_config.json"):
        (folder / name).write_text("{}")
    (folder / "model.safetensors").write_bytes(safetensors_bytes())
    return folder


def import_student(path: str, tmp_path: Path) -> Artifact:
    slice = StudentSlice(student=Student(path=path, min_pixels=784, max_pixels=6272))
    store = Store.parse(f"file://{tmp_path / 'store'}")
    return store.open(
        execute("student", run, slice, {}, store, lambda: cast(Launcher, None), tmp_path / "state")
    )


def test_a_folder_is_imported_without_what_is_no_part_of_a_checkpoint(
    checkpoint: Path, tmp_path: Path
) -> None:
    (checkpoint / "optimizer.dat").write_bytes(b"x")
    (checkpoint / "modeling.py").write_text("raise SystemExit")
    made = import_student(f"file://{checkpoint}", tmp_path)
    assert made.manifest.kind == "checkpoint"
    assert [entry.path for entry in made.manifest.files] == [
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
        "tokenizer_config.json",
    ]


def test_the_store_shares_no_bytes_with_the_users_folder(checkpoint: Path, tmp_path: Path) -> None:
    made = import_student(str(checkpoint), tmp_path)
    mine, theirs = (os.stat(folder / "model.safetensors") for folder in (checkpoint, made.path))
    assert mine.st_ino != theirs.st_ino
    assert mine.st_mode == os.stat(checkpoint / "config.json").st_mode


def test_the_shipped_base_is_imported(tmp_path: Path) -> None:
    made = import_student("miniature://base", tmp_path)
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {
        entry.path for entry in made.manifest.files
    }


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pkl"])
def test_pickled_weights_are_refused(checkpoint: Path, name: str) -> None:
    (checkpoint / name).write_bytes(b"\x80\x04")
    with pytest.raises(DataError, match=rf"{name}\n.*pickled weights"):
        check_checkpoint(checkpoint, NAME)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "preprocessor_config.json"])
def test_code_that_comes_with_a_checkpoint_is_refused(checkpoint: Path, name: str) -> None:
    (checkpoint / name).write_text(json.dumps({**CONFIG, "auto_map": {"AutoModel": "modeling.Evil"}}))
    with pytest.raises(DataError, match="auto_map"):
        check_checkpoint(checkpoint, NAME)


@pytest.mark.parametrize(
    ("config", "found", "allowed"),
    [
        ({"architectures": ["LlamaForCausalLM"]}, "architectures: ['LlamaForCausalLM']", f"['{QWEN}']"),
        ({"architectures": None}, "architectures: None", f"['{QWEN}']"),
        ({"model_type": "llama"}, "model_type: 'llama'", "'qwen2_vl'"),
    ],
)
def test_another_model_is_refused_by_the_name_in_the_recipe(
    checkpoint: Path, config: dict[str, Any], found: str, allowed: str
) -> None:
    (checkpoint / "config.json").write_text(json.dumps(CONFIG | config))
    with pytest.raises(DataError) as caught:
        check_checkpoint(checkpoint, NAME)
    told = caught.value.faults[0]
    assert (told.where, told.found, told.allowed) == (f"{NAME}/config.json", found, allowed)


def test_a_configuration_that_is_no_object_is_refused(checkpoint: Path) -> None:
    (checkpoint / "config.json").write_text("[]")
    with pytest.raises(DataError, match="architectures: None"):
        check_checkpoint(checkpoint, NAME)


def test_a_truncated_shard_is_refused(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").write_bytes(safetensors_bytes()[:-1])
    with pytest.raises(DataError, match="a whole safetensors file"):
        check_checkpoint(checkpoint, NAME)


def test_a_shard_that_only_the_index_names_is_missed(checkpoint: Path) -> None:
    index = {"weight_map": {"w": "model-00001-of-00002.safetensors"}}
    (checkpoint / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(DataError, match="model-00001-of-00002"):
        check_checkpoint(checkpoint, NAME)


@pytest.mark.parametrize("content", ["{}", "[]", "x", '{"weight_map": {"w": "../../etc/x.safetensors"}}'])
def test_a_malformed_index_is_refused(checkpoint: Path, content: str) -> None:
    (checkpoint / "model.safetensors.index.json").write_text(content)
    with pytest.raises(DataError, match="index"):
        check_checkpoint(checkpoint, NAME)


def test_all_faults_are_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(DataError) as caught:
        check_checkpoint(tmp_path, NAME)
    assert len(caught.value.faults) == 5

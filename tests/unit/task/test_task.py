import json
import subprocess
import sys
from pathlib import Path

import pytest

from spica.artifacts.store import Store
from spica.errors import PrerequisiteError, RecipeError
from spica.recipe.slices import SourcesSlice
from spica.task import open_reference, parse_slice


def test_every_fault_of_a_slice_is_told_at_once() -> None:
    with pytest.raises(RecipeError) as caught:
        parse_slice("text", SourcesSlice, '{"seed": "many", "extra": 1}')
    places = {fault.where for fault in caught.value.faults}
    assert places == {"slice of text.seed", "slice of text.sources", "slice of text.extra"}


@pytest.mark.parametrize("content", ["", '{"task": "text"'])
def test_a_torn_reference_is_a_prerequisite(tmp_path: Path, content: str) -> None:
    path = tmp_path / "text.ref"
    path.write_text(content)
    with pytest.raises(PrerequisiteError, match="no reference"):
        open_reference(Store.parse(f"file://{tmp_path}/store"), path)


def test_a_reference_to_nothing_in_the_store_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "text.ref"
    path.write_text(json.dumps({"task": "text", "key": "a" * 64, "digest": "b" * 64}))
    with pytest.raises(PrerequisiteError, match="run the pipeline again"):
        open_reference(Store.parse(f"file://{tmp_path}/store"), path)


def test_the_command_line_face_prints_faults_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "slice.json").write_text("{}")
    arguments = ["text", "slice.json", "text.ref"]
    done = subprocess.run(
        [sys.executable, "-m", "spica.sources", *arguments], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert "slice of text.seed" in done.stderr

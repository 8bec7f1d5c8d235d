import shutil
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spica.artifacts.code import ROOT, code_digest, module_digest
from spica.errors import PrerequisiteError

FILES = {
    "components/spica/__init__.py": "",
    "components/spica/sft/__init__.py": "",
    "components/spica/sft/run.py": 'from spica.sft import plan\nRUNS = ("spica.sft.train",)\n',
    "components/spica/sft/plan.py": "def plan():\n    from spica.rows import read\n",
    "components/spica/sft/train.py": "from . import loss\n",
    "components/spica/sft/loss.py": "import spica.launch.contract\n",
    "components/spica/sft/card.jinja": "{{ name }}",
    "components/spica/sft/README.md": "in, out",
    "components/spica/sft/__main__.py": "import spica.sft.run",
    "components/spica/sft/data/weights.bin": "0",
    "components/spica/rows.py": "x = 1\n",
    "components/spica/launch/__init__.py": "",
    "components/spica/launch/contract.py": "y = 1\n",
    "components/spica/report/__init__.py": "",
    "components/spica/report/run.py": "import spica.rows\n",
    "requirements.lock": "torch==2.13.0\n",
}


def stage(module: str) -> Callable[[], None]:
    def run() -> None:
        pass

    run.__module__ = module
    return run


@pytest.fixture
def digest_with(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Digest of spica.sft.run in a fresh tree in which one byte was added to some files."""

    def digest(*changed: str) -> str:
        root = tmp_path_factory.mktemp("tree")
        for name, content in FILES.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content + ("\n" if name in changed else ""))
        return code_digest(stage("spica.sft.run"), root / "components/spica")

    return digest


def test_equal_trees_have_equal_digests(digest_with: Callable[..., str]) -> None:
    assert digest_with() == digest_with()


@pytest.mark.parametrize(
    "name",
    [
        "components/spica/__init__.py",
        "components/spica/sft/run.py",
        "components/spica/sft/plan.py",
        "components/spica/rows.py",
        "components/spica/sft/train.py",
        "components/spica/sft/loss.py",
        "components/spica/sft/card.jinja",
        "requirements.lock",
    ],
)
def test_one_byte_of_what_takes_part_changes_the_digest(digest_with: Callable[..., str], name: str) -> None:
    assert digest_with(name) != digest_with()


@pytest.mark.parametrize(
    "name",
    [
        "components/spica/report/run.py",
        "components/spica/launch/contract.py",
        "components/spica/sft/__main__.py",
        "components/spica/sft/README.md",
        "components/spica/sft/data/weights.bin",
    ],
)
def test_one_byte_of_anything_else_does_not(digest_with: Callable[..., str], name: str) -> None:
    assert digest_with(name) == digest_with()


def test_a_missing_lock_file_is_a_prerequisite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    (tmp_path / "components/spica").mkdir(parents=True)
    (tmp_path / "components/spica/__init__.py").touch()
    with pytest.raises(PrerequisiteError, match=r"requirements\.lock"):
        code_digest(stage("spica"), tmp_path / "components/spica")


def test_the_stages_of_this_installation_have_different_digests() -> None:
    runs: list[Any] = [stage(f"spica.{name}") for name in ("errors", "recipe.schema", "artifacts.memo")]
    assert len({code_digest(run) for run in runs}) == 3


def test_an_installed_wheel_has_its_lock_file_among_the_shared_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    (tmp_path / "site-packages/spica").mkdir(parents=True)
    (tmp_path / "site-packages/spica/__init__.py").touch()
    (tmp_path / "share/spica").mkdir(parents=True)
    (tmp_path / "share/spica/requirements.lock").touch()
    assert len(code_digest(stage("spica"), tmp_path / "site-packages/spica")) == 64


def test_training_the_miniatures_base_is_no_part_of_the_tasks_that_read_data(tmp_path: Path) -> None:
    plain, changed = (tmp_path / name / "components/spica" for name in ("plain", "changed"))
    for root in (plain, changed):
        shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns("data", "__pycache__"))
        (root.parents[1] / "requirements.lock").write_text("torch==2.13.0\n")
    for name in ("base", "base_train", "base_model", "base_data", "base_batches"):
        with (changed / "miniature" / f"{name}.py").open("a") as file:
            file.write("\n")
    for reader in ("spica.sources.run", "spica.sources.student"):
        assert module_digest(reader, changed) == module_digest(reader, plain)
    assert module_digest("spica.miniature.base", changed) != module_digest("spica.miniature.base", plain)

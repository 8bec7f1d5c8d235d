from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spica.artifacts.manifest import Artifact
from spica.artifacts.workspace import Workspace

from .distill_examples import prompts, teacher_process, workspace


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spica.chat.retry._FIRST_WAIT_S", 0.02)


@pytest.fixture(scope="session")
def teacher_url() -> Iterator[str]:
    """A teacher with every kind of answer and fault."""
    rates = ("--wrong=0.2", "--no-box=0.1", "--no-end=0.1", "--empty=0.1")
    faults = ("--fault=429=0.05", "--fault=503=0.05", "--fault=cut=0.05", "--retry-after-s=0")
    with teacher_process("--seed=1", *rates, *faults) as url:
        yield url


@pytest.fixture(scope="session")
def small_prompts(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return prompts(tmp_path_factory.mktemp("prompts"), 24)


@pytest.fixture
def make_workspace(tmp_path: Path) -> Callable[[str], Workspace]:
    return lambda name: workspace(tmp_path / name)

"""Two real ranks, a node each, begin with the same checkpoint whatever each of them has."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from spica.sft import checkpoint
from spica.sft.checkpoint import Progress

from .ranks import ON_CPUS, torchrun

pytestmark = pytest.mark.slow


class Case(NamedTuple):
    """Steps of each node's checkpoints, `-` before those whose bytes are altered; what comes of it.

    None: a node is to fetch again.
    """

    nodes: tuple[list[int], list[int]]
    agreed: int | None


CASES = {
    "the newest": Case(([12, 24], [12, 24]), 24),
    "altered on one node": Case(([12, 24], [12, -24]), 12),
    "altered on each in turn": Case(([12, -24, 36], [12, 24, -36]), 12),
    "altered wherever it is": Case(([12, -24], [-24]), 0),
    "missing on one node": Case(([12, 24], [12]), None),
    "missing on one node, altered before": Case(([12, 24], [-12]), None),
    "none at all": Case(([], [12, 24]), None),
}


def write(folder: Path, step: int) -> None:
    path = folder / checkpoint.name(abs(step))
    path.mkdir(parents=True)
    checkpoint._write_shards(path, "weights", iter([("a", torch.zeros(4))]), writes=True)
    checkpoint._finish(path, Progress(step=abs(step)), [])
    if step < 0:
        (path / "weights-00000.safetensors").write_bytes(b"altered")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("agreement")
    for name, case in CASES.items():
        for rank, steps in enumerate(case.nodes):
            for step in steps:
                write(folder / "cases" / name / f"node-{rank}", step)
    program = Path(__file__).parent / "agreeing.py"
    assert torchrun(2, ON_CPUS, str(program), str(folder / "cases"), str(folder)).wait(120) == 0
    return folder


@pytest.mark.parametrize("name", CASES)
def test_all_nodes_begin_with_the_newest_checkpoint_that_is_whole_on_each(world: Path, name: str) -> None:
    told: list[Mapping[str, int | None]] = [
        json.loads((world / f"node-{n}.json").read_text()) for n in range(2)
    ]
    assert [steps[name] for steps in told] == [CASES[name].agreed] * 2


@pytest.mark.parametrize("name", CASES)
def test_checkpoints_that_were_passed_over_are_gone_and_no_others(world: Path, name: str) -> None:
    agreed = CASES[name].agreed
    for rank, steps in enumerate(CASES[name].nodes):
        left = {path.name for path in (world / "cases" / name / f"node-{rank}").glob("step-*")}
        kept = (abs(step) for step in steps if agreed is None or abs(step) <= agreed)
        assert left == {checkpoint.name(step) for step in kept}

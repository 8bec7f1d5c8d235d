from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from spica.errors import Fault, PrerequisiteError, StageError
from spica.launch.contract import Training
from spica.sft.run import _watch


class Fails:
    """A launcher, and a job whose watch ends with one fault and whose stop ends with another."""

    def train(self, job: Training) -> "Fails":
        return self

    def watch(self) -> Iterator[str]:
        yield "sft D_T step 1"
        raise StageError(Fault("job", "image missing", "a job that starts", "mend it"))

    def stop(self, grace_s: float = 30.0) -> None:
        raise PrerequisiteError(Fault("job", "no answer from the API server", "one", "look"))


def test_a_fault_of_stopping_does_not_hide_why_the_job_was_stopped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out: Any = None
    job = Training("sft-d_t", "spica.sft.train", "{}", {}, out, 1, 1, 1, tmp_path / "log")
    launcher: Any = Fails()
    with pytest.raises(StageError, match="image missing"):
        _watch(job, launcher)
    assert "no answer from the API server" in caplog.text

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from spica.artifacts.manifest import Artifact, Manifest
from spica.artifacts.memo import execute
from spica.artifacts.s3_store import S3Store
from spica.artifacts.workspace import Delivery, Workspace
from spica.errors import IntegrityError
from spica.launch.contract import Launcher

from . import counting_stage
from .artifact_examples import bucket_keys, write_files
from .counting_stage import CountingSlice, launcher


@pytest.fixture(scope="module")
def connected(s3_client: Any) -> S3Store:
    # A store keeps its client, and making one takes longer than most tests.
    return S3Store("spica", "runs")


@pytest.fixture
def store(s3: Any, connected: S3Store) -> S3Store:
    return connected


def run_once(store: S3Store, state: Path, slice: CountingSlice, **inputs: Manifest) -> Manifest:
    artifacts = {name: store.open(manifest) for name, manifest in inputs.items()}
    return execute("text", counting_stage.run, slice, artifacts, store, launcher(), state)


def test_the_inputs_of_a_hit_are_not_fetched(store: S3Store, tmp_path: Path, state: Path) -> None:
    first = run_once(store, tmp_path / "a", CountingSlice())
    second = run_once(store, tmp_path / "a", CountingSlice(seed=1), prompts=first)
    cache = state / "cache"
    assert [path.name for path in cache.iterdir()] == [first.digest[:32]]
    cache.rename(tmp_path / "elsewhere")
    assert run_once(store, tmp_path / "b", CountingSlice(seed=1), prompts=first) == second
    assert not cache.exists()


@pytest.mark.slow
def test_scratch_of_a_killed_attempt_comes_back_on_another_machine(
    store: S3Store, tmp_path: Path, s3_environment: dict[str, str]
) -> None:
    state = {"SPICA_STATE": str(tmp_path / "machine-1")}
    environment = {**os.environ, **s3_environment, **state, "DIE": "copied", "STORE": store.uri}
    program = f"import importlib; importlib.import_module({counting_stage.__name__!r}).main()"
    root = Path(__file__).parents[3]
    killed = subprocess.run([sys.executable, "-c", program], env=environment, cwd=root, check=False)
    assert killed.returncode == -9
    manifest = run_once(store, tmp_path / "machine-2", CountingSlice())
    assert manifest.metrics == {"num_attempts": 2}


def test_scratch_and_other_uploads_are_gone_after_publishing(store: S3Store, s3: Any, tmp_path: Path) -> None:
    manifest = run_once(store, tmp_path / "a", CountingSlice())
    name = f"runs/text/{manifest.key[:16]}"
    assert sorted(bucket_keys(s3)) == sorted(
        [f"{name}/manifest.json", f"{name}/{manifest.execution.blobs}/seed.txt"]
    )


def delivering(
    slice: CountingSlice, inputs: Mapping[str, Artifact], out: Workspace, launcher: Launcher
) -> Any:
    """Publish what a job delivered, and a card beside it."""
    assert out.work is not None
    store = S3Store("spica", "runs")
    made = write_files(out.scratch / "job", model_bin="weights", card_md="theirs")
    for _ in range(2):
        # The job of a pod that died just before it could say so has delivered, too.
        out.delivery = store.deliver(out.work.task, out.work.key, made)
    (out.path / "card.md").write_text("ours")
    return out.publish("checkpoint")


def test_what_a_job_delivered_is_published_and_its_other_uploads_go(
    store: S3Store, s3: Any, tmp_path: Path
) -> None:
    manifest = execute("sft", delivering, CountingSlice(), {}, store, launcher(), tmp_path / "a")
    folder = store.open(manifest).path
    assert (folder / "model.bin").read_text() == "weights"
    assert (folder / "card.md").read_text() == "ours"
    assert len(bucket_keys(s3)) == 3


def losing(slice: CountingSlice, inputs: Mapping[str, Artifact], out: Workspace, launcher: Launcher) -> Any:
    """Publish what is in no store."""
    whole = write_files(out.scratch / "job", model_bin="weights")
    assert out.work is not None
    made = S3Store("spica", "runs").deliver(out.work.task, out.work.key, whole)
    out.delivery = Delivery(blobs="ab" * 8, files=made.files)
    return out.publish("checkpoint")


def test_a_delivery_that_is_gone_is_never_published(store: S3Store, s3: Any, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=r"model\.bin\n.*missing"):
        execute("sft", losing, CountingSlice(), {}, store, launcher(), tmp_path / "a")
    assert not [key for key in bucket_keys(s3) if key.endswith("/manifest.json")]

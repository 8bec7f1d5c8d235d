import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from spica.artifacts.locks import held
from spica.artifacts.manifest import Manifest
from spica.artifacts.memo import execute, identify, perform
from spica.artifacts.store import Store
from spica.artifacts.types import Kind
from spica.artifacts.workspace import Workspace
from spica.errors import ConflictError, DataError, Fault, IntegrityError, LockedError, StageError
from spica.recipe.schema import Source

from . import counting_stage
from .artifact_examples import manifest_of, write_files
from .counting_stage import CountingSlice, launcher


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.parse(f"file://{tmp_path}/store")


def run_once(store: Store, slice: CountingSlice | None = None, **inputs: Manifest) -> Manifest:
    artifacts = {name: store.open(manifest) for name, manifest in inputs.items()}
    return execute("text", counting_stage.run, slice or CountingSlice(), artifacts, store, launcher())


def sources(uri: str) -> CountingSlice:
    return CountingSlice(sources=(Source(name="a", uri=uri, format="questions"),))


def key_of(slice: CountingSlice) -> str:
    return identify("text", counting_stage.run, slice, {}).key


def test_a_second_execution_is_a_hit(store: Store) -> None:
    assert run_once(store) == run_once(store)


def test_an_outcome_tells_a_hit_from_a_run(store: Store) -> None:
    outcomes = [perform("text", counting_stage.run, CountingSlice(), {}, store, launcher()) for _ in range(2)]
    assert [outcome.cached for outcome in outcomes] == [False, True]


def test_another_seed_runs_again(store: Store) -> None:
    assert run_once(store).key != run_once(store, CountingSlice(seed=1)).key


def test_another_input_runs_again(store: Store) -> None:
    first = run_once(store)
    second = run_once(store, CountingSlice(seed=1))
    assert run_once(store, prompts=first).key != run_once(store, prompts=second).key


def test_an_input_is_handed_over_and_named_by_digest(store: Store) -> None:
    first = run_once(store, CountingSlice(seed=3))
    manifest = run_once(store, prompts=first)
    assert manifest.inputs == {"prompts": first.digest}
    assert (store.open(manifest).path / "prompts.txt").read_text() == "3"


def test_one_byte_of_outside_data_changes_the_key(tmp_path: Path) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text("a")
    before = key_of(sources(f"file://{data}"))
    data.write_text("b")
    assert key_of(sources(f"file://{data}")) != before


def test_the_place_of_outside_data_does_not_change_the_key(tmp_path: Path) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rows.jsonl").write_text("a")
    assert key_of(sources(f"file://{tmp_path}/here")) == key_of(sources(f"file://{tmp_path}/there"))


def test_generated_data_is_named_by_its_whole_uri() -> None:
    few, many = (sources(f"miniature://text?seed=1&num={num}") for num in (10, 20))
    assert key_of(few) != key_of(many)


def test_the_manifest_tells_what_the_execution_cost(store: Store) -> None:
    execution = run_once(store).execution
    assert execution.tokens == 5
    assert 0 <= execution.wall_s < 60 and 0 <= execution.cpu_s < 60
    assert execution.host == os.uname().nodename


def test_work_files_are_gone_after_publishing(store: Store, state: Path) -> None:
    run_once(store)
    assert list((state / "work/text").iterdir()) == []


def test_after_kill_9_scratch_is_found_again_and_final_files_are_not(store: Store, state: Path) -> None:
    environment = {**os.environ, "DIE": "1", "STORE": store.uri}
    program = f"import importlib; importlib.import_module({counting_stage.__name__!r}).main()"
    root = Path(__file__).parents[3]
    killed = subprocess.run([sys.executable, "-c", program], env=environment, cwd=root, check=False)
    assert killed.returncode == -9
    assert len(list(state.glob("work/text/*/files/half.bin"))) == 1
    manifest = run_once(store)
    assert manifest.metrics == {"num_attempts": 2}
    assert [entry.path for entry in manifest.files] == ["seed.txt"]


def test_a_key_that_another_process_works_on_is_locked(store: Store, state: Path) -> None:
    key = key_of(CountingSlice())[:16]
    with (
        held(state / f"locks/text-{key}.lock", "text by somebody"),
        pytest.raises(LockedError, match="somebody"),
    ):
        run_once(store)


def test_a_damaged_hit_is_told_and_not_made_anew(store: Store) -> None:
    path = store.open(run_once(store)).path / "seed.txt"
    path.unlink()
    with pytest.raises(IntegrityError, match="missing"):
        run_once(store)


def test_a_removed_artifact_is_made_anew(store: Store, tmp_path: Path) -> None:
    folder = store.open(run_once(store)).path
    folder.rename(tmp_path / "elsewhere")
    run_once(store)
    assert folder.is_dir()


def not_published(slice: Any, inputs: Any, out: Any, launcher: Any) -> Any:
    return None


def not_a_number(slice: Any, inputs: Any, out: Any, launcher: Any) -> Any:
    return out.publish("scores", {"accuracy": float("nan")})


def test_a_stage_that_publishes_nothing_is_a_stage_error(store: Store) -> None:
    with pytest.raises(StageError, match=r"return out\.publish"):
        execute("text", not_published, CountingSlice(), {}, store, launcher())


def test_a_metric_that_is_no_number_is_a_data_error(store: Store) -> None:
    with pytest.raises(DataError, match="accuracy = nan"):
        execute("text", not_a_number, CountingSlice(), {}, store, launcher())


@pytest.mark.parametrize("published", [True, False])
def test_a_stage_that_fails_where_another_attempt_has_published_ends_well(
    store: Store, state: Path, tmp_path: Path, published: bool
) -> None:
    def too_late(slice: CountingSlice, inputs: Any, out: Workspace, launcher: Any) -> Any:
        assert out.work
        (out.scratch / "journal").write_text("unfinished")
        if published:
            folder = write_files(tmp_path / "theirs", seed_txt="7")
            store.publish(folder, manifest_of(folder, key=out.work.key, task="text"))
        raise StageError(Fault("job", "its result is no longer there", "a result", "run again"))

    if published:
        assert perform("text", too_late, CountingSlice(), {}, store, launcher()).cached
        assert not list((state / "work").rglob("journal"))
    else:
        with pytest.raises(StageError, match="no longer there"):
            perform("text", too_late, CountingSlice(), {}, store, launcher())


def test_other_bytes_published_meanwhile_are_a_conflict_and_not_taken_for_ours(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = Workspace.publish

    def publish_second(out: Workspace, kind: Kind, metrics: Any, tokens: int = 0) -> Manifest:
        folder = write_files(tmp_path / "theirs", seed_txt="other")
        assert out.work
        store.publish(folder, manifest_of(folder, key=out.work.key, task="text"))
        return publish(out, kind, metrics, tokens)

    monkeypatch.setattr(Workspace, "publish", publish_second)
    with pytest.raises(ConflictError):
        run_once(store)

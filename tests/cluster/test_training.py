"""Trainings by real pods: a PyTorchJob of two, checkpoints in S3, the weights of the local run."""

from pathlib import Path

import pytest

from bed.objects import kubectl
from spica.artifacts.manifest import Manifest
from spica.artifacts.memo import perform
from spica.artifacts.store import Store
from spica.cluster.order import object_name
from spica.launch.local import LocalLauncher
from spica.recipe.slices import SftSlice
from spica.sft.run import run

from .figures import Measure
from .training_client import slice_json
from .training_world import NUM_EPOCHS, World, weights

pytestmark = pytest.mark.cluster


def test_pods_train_the_weights_of_the_local_run(
    world: World, undisturbed: Manifest, tmp_path: Path, figure: Measure
) -> None:
    slice = SftSlice.model_validate_json(slice_json("laptop", NUM_EPOCHS))
    inputs = {name: world.store.resolve(reference, name) for name, reference in world.inputs.items()}
    store, state = Store.parse(f"file://{tmp_path}/store"), tmp_path / "state"
    local = perform("sft-d_t", run, slice, inputs, store, LocalLauncher(state), state).manifest
    equal = weights(local) == weights(undisturbed)
    seconds = f"{undisturbed.execution.wall_s:.0f} s by pods, {local.execution.wall_s:.0f} s here"
    figure("training by pods", "the local run's weights", f"{'equal' if equal else 'DIFFERENT'}; {seconds}")
    assert equal


def test_trained_again_the_artifact_is_found_and_no_cluster_is_needed(
    world: World, undisturbed: Manifest
) -> None:
    again = world.start("undisturbed", KUBECONFIG="/nonexistent")
    assert again.finish() == undisturbed
    assert "unchanged, from the store" in again.log.read_text()


def test_names_are_those_that_the_key_gives(world: World, undisturbed: Manifest) -> None:
    jobs = kubectl("get", "pytorchjobs", "-n", world.team, "-o", "name")
    assert f"/{object_name('sft-d_t', undisturbed.key)}" in jobs

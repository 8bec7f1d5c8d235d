"""Objects as Spica renders them from the shipped recipes, with inputs that nobody has."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from spica.artifacts.manifest import Artifact, Execution, Manifest, Reference
from spica.artifacts.types import FileEntry
from spica.cluster.inferenceservice import inference_service
from spica.cluster.order import Order
from spica.cluster.pytorchjob import pytorchjob
from spica.images import image
from spica.launch.contract import ModelServer
from spica.recipe.load import Resolved, known_recipes, load_recipe, read_recipe
from spica.recipe.plan import plan
from spica.recipe.schema import Kubernetes
from spica.recipe.slices import SftSlice

Object = dict[str, Any]
NOBODY = "Lease/nowhere/nobody"


def on_kubernetes() -> list[tuple[str, str]]:
    """Every shipped recipe under each of its profiles on Kubernetes."""
    return [
        (recipe, profile)
        for recipe in known_recipes()
        for profile, scale in read_recipe(recipe).profiles.items()
        if scale.kubernetes
    ]


@dataclass(frozen=True)
class Rendering:
    """A recipe under a profile."""

    resolved: Resolved

    @classmethod
    def of(cls, recipe: str, profile: str) -> "Rendering":
        return cls(load_recipe(recipe, profile))

    @property
    def kubernetes(self) -> Kubernetes:
        return cast(Kubernetes, self.resolved.scale.kubernetes)

    @property
    def trainings(self) -> list[str]:
        """Names of the tasks that are PyTorchJobs."""
        return [task for task, slice in plan(self.resolved).items() if isinstance(slice, SftSlice)]

    def job(self, task: str, /, template: Object | None = None, priority: str = "", **changes: Any) -> Object:
        """The PyTorchJob of a training, each time with another key, so under another name."""
        slice, kubernetes = cast(SftSlice, plan(self.resolved)[task]), self.kubernetes
        fields = {
            "task": task,
            "key": uuid.uuid4().hex * 2,
            "store": self.resolved.store,
            "module": "spica.sft.train",
            "code": "c" * 64,
            "slice": slice.model_dump_json(),
            "inputs": {"student": Reference(task="student", key="a" * 64, digest="b" * 64)},
            "num_nodes": slice.scale.num_nodes,
            "ranks_per_node": slice.scale.ranks_per_node,
            "threads_per_rank": slice.scale.threads_per_rank,
            "max_crashes": kubernetes.training.max_crashes,
        }
        if priority:
            training = kubernetes.training.model_copy(update={"priority": priority})
            kubernetes = kubernetes.model_copy(update={"training": training})
        order = Order.model_validate(fields | changes)
        return pytorchjob(order, kubernetes, image("train"), "run-1", NOBODY, template or {})

    def servers(self) -> Iterator[Object]:
        """The InferenceService of each task that asks a model it serves itself."""
        for task, slice in plan(self.resolved).items():
            scale = getattr(slice, "server", None)
            if scale is not None and task != "distill-d_t":
                server = ModelServer(task, _checkpoint(self.resolved.store), Path("/nowhere"), scale)
                yield inference_service(server, self.kubernetes, "run-1", NOBODY)


def _checkpoint(store: str) -> Artifact:
    files = (FileEntry(path="config.json", size=2, sha256="a" * 64),)
    execution = Execution(started="", wall_s=0, cpu_s=0, tokens=0, host="", version="")
    manifest = Manifest(
        kind="checkpoint", task="sft-d_t", key=uuid.uuid4().hex * 2, slice={}, inputs={}, code="", seed=0,
        files=files, metrics={}, digest=uuid.uuid4().hex * 2, execution=execution,
    )  # fmt: skip
    return Artifact(
        manifest, f"{store}/sft-d_t/0123456789abcdef/89abcdef01234567", lambda _: Path("/nowhere")
    )

"""Orders and jobs as a recipe gives them, with a fixed key."""

import json
from typing import Any

from spica.artifacts.manifest import Reference
from spica.artifacts.workspace import Work
from spica.cluster.order import Order
from spica.cluster.pytorchjob import pytorchjob
from spica.recipe.load import load_recipe

TASK = "sft-d_t"
KEY = "0123456789abcdef" * 4
WORK = Work(TASK, KEY, "s3://spica/runs")
TEMPLATE: dict[str, Any] = {}


def order_of(recipe: str, profile: str) -> Order:
    resolved = load_recipe(recipe, profile)
    scale = resolved.scale
    assert scale.kubernetes is not None
    return Order(
        task=TASK,
        key=KEY,
        store=resolved.store,
        module="spica.sft.train",
        code="c" * 64,
        slice=json.dumps({"arm": "D_T", "price": "$(HOME) $$5"}),
        inputs={"student": Reference(task="student", key="a" * 64, digest="b" * 64)},
        num_nodes=scale.num_nodes,
        ranks_per_node=scale.ranks_per_node,
        threads_per_rank=scale.threads_per_rank,
        max_crashes=scale.kubernetes.training.max_crashes,
    )


def job_of(recipe: str = "virgo-72b", profile: str = "cluster64", **changes: Any) -> dict[str, Any]:
    """A PyTorchJob; `run`, `owner` and `template` may be given, the rest changes the order."""
    run, owner = changes.pop("run", "run-1"), changes.pop("owner", "Lease/team/spica-run-1")
    template = changes.pop("template", TEMPLATE)
    kubernetes = load_recipe(recipe, profile).scale.kubernetes
    assert kubernetes is not None
    order = order_of(recipe, profile).model_copy(update=changes)
    return pytorchjob(order, kubernetes, "registry.example/train:1", run, owner, template)

from typing import Any

import pytest

from spica.cluster.pool import require_pool
from spica.errors import PrerequisiteError

from ...fakes.cluster import FakeCluster
from .served import kubernetes


def cluster_with(*flavors: dict[str, Any]) -> Any:
    """A cluster whose queue `serving` lists these flavors."""
    cluster = FakeCluster()
    cluster.add("LocalQueue", "serving", status={"flavors": list(flavors)} if flavors else {})
    return cluster


def flavor(pool: str) -> dict[str, Any]:
    return {"name": f"spica-{pool}", "nodeLabels": {"spica.dev/pool": pool}}


def test_a_pool_that_no_flavor_has_is_refused_before_anything_is_made() -> None:
    asked = kubernetes().serving.model_copy(update={"node_pool": "b200"})
    with pytest.raises(
        PrerequisiteError, match=r"flavors spica-cpu, spica-h100-8x: none has nodes with .*=b200"
    ):
        require_pool(cluster_with(flavor("cpu"), flavor("h100-8x")), asked)


def test_a_pool_of_one_of_the_flavors_is_there() -> None:
    asked = kubernetes().serving.model_copy(update={"node_pool": "h100-8x"})
    require_pool(cluster_with(flavor("cpu"), flavor("h100-8x")), asked)


def test_a_flavor_without_the_label_is_of_any_nodes() -> None:
    require_pool(cluster_with({"name": "default"}), kubernetes().serving)


def test_a_queue_that_lists_no_flavors_is_left_to_kueue() -> None:
    require_pool(cluster_with(), kubernetes().serving)

"""Where everything came from: tasks, their digests and what each one cost, read from the manifests."""

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from spica.artifacts.manifest import Manifest

NODE_WIDTH, NODE_HEIGHT = 96, 52
_COLUMN, _ROW, _MARGIN = 138, 66, 4
_HUB = 6
"""Fewest artifacts made from one that is drawn faintly: the questions every evaluation and data set reads."""


class Node(NamedTuple):
    """One artifact in the picture; x and y of its upper left corner in pixels."""

    task: str
    digest: str
    outside: bool
    """Known by its digest only: the report was not given its manifest."""
    x: float
    y: float


class Edge(NamedTuple):
    """From an artifact to one made from it; `d` is an SVG path."""

    source: str
    target: str
    d: str
    faint: bool


class Graph(NamedTuple):
    """The lineage as a picture, in pixels."""

    nodes: list[Node]
    edges: list[Edge]
    width: int
    height: int


class Origin(NamedTuple):
    """Lineage of one task; inputs are (input name, task it came from)."""

    task: str
    kind: str
    key: str
    digest: str
    inputs: tuple[tuple[str, str], ...]


def trace(manifests: Mapping[str, Manifest]) -> list[Origin]:
    """Name the task behind every input digest, in data order.

    An input whose manifest is not among `manifests` becomes an origin of its own without key, named after
    the input.
    """
    names = {manifest.digest: task for task, manifest in manifests.items()}
    outside: dict[str, Origin] = {}
    for task, manifest in manifests.items():
        for name, digest in manifest.inputs.items():
            if digest not in names:
                names[digest] = name if name not in {*names.values(), *manifests} else f"{name} of {task}"
                outside[names[digest]] = Origin(names[digest], "", "", digest, ())
    origins = outside | {
        task: Origin(
            task,
            manifest.kind,
            manifest.key,
            manifest.digest,
            tuple((name, names[digest]) for name, digest in manifest.inputs.items()),
        )
        for task, manifest in manifests.items()
    }
    depths = _depths(origins)
    return sorted(origins.values(), key=lambda origin: depths[origin.task])


def draw(origins: list[Origin]) -> Graph:
    """Lay the lineage out: columns by depth, what nothing is made from in the last one.

    Inside a column nodes stand by the mean place of what they are made from, which keeps threads short.
    """
    by_task = {origin.task: origin for origin in origins}
    uses = Counter(source for origin in origins for _, source in origin.inputs)
    depths = _depths(by_task)
    last = max(depths.values(), default=0)
    depths |= {task: last for task in by_task if not uses[task]}
    columns: list[list[str]] = [[] for _ in range(last + 1)]
    for origin in origins:
        columns[depths[origin.task]].append(origin.task)
    tallest = max(map(len, columns))
    y: dict[str, float] = {}
    for column in columns:
        column.sort(key=lambda task: _pull(by_task[task], y))  # stable: equal pulls keep data order
        top = (tallest - len(column)) / 2
        y.update({task: top + place for place, task in enumerate(column)})
    nodes = [
        Node(o.task, o.digest, not o.key, _MARGIN + _COLUMN * depths[o.task], _MARGIN + _ROW * y[o.task])
        for o in origins
    ]
    at = {node.task: node for node in nodes}
    edges = [
        Edge(source, o.task, _curve(at[source], at[o.task]), uses[source] >= _HUB)
        for o in origins
        for _, source in o.inputs
    ]
    width = _COLUMN * (len(columns) - 1) + NODE_WIDTH + 2 * _MARGIN
    return Graph(nodes, edges, width, _ROW * (tallest - 1) + NODE_HEIGHT + 2 * _MARGIN)


def label(task: str) -> tuple[str, str]:
    """A task's name on two lines: "sft-d_t" as ("sft", "d_t")."""
    stage, _, rest = task.partition(" " if " " in task else "-")
    return stage, rest


def _depths(origins: Mapping[str, Origin]) -> dict[str, int]:
    """Longest way from a task without inputs."""
    depths: dict[str, int] = {}

    def depth(task: str) -> int:
        if task not in depths:
            depths[task] = 1 + max((depth(source) for _, source in origins[task].inputs), default=-1)
        return depths[task]

    for task in origins:
        depth(task)
    return depths


def _pull(origin: Origin, y: Mapping[str, float]) -> float:
    places = [y[source] for _, source in origin.inputs]
    return sum(places) / len(places) if places else 0.0


def _curve(source: Node, target: Node) -> str:
    x1, y1 = source.x + NODE_WIDTH, source.y + NODE_HEIGHT / 2
    x2, y2 = target.x, target.y + NODE_HEIGHT / 2
    bend = max(30.0, (x2 - x1) / 2)
    return f"M{x1:g} {y1:g}C{x1 + bend:g} {y1:g} {x2 - bend:g} {y2:g} {x2:g} {y2:g}"

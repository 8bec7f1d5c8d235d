"""The Argo workflow below a run, as the KFP server keeps it: pods and the engine's remarks.

Untrusted and optional: what is missing or has another form gives no pods and no remarks.
"""

import base64
import json
import zlib
from collections.abc import Iterator
from typing import Any

POD_NAMES = "workflows.argoproj.io/pod-name-format"
WBITS_OF_GZIP = 31
MAX_NAME = 253


class Workflow:
    """Reads one workflow."""

    def __init__(self, manifest: dict[str, Any]) -> None:
        """`manifest` is the Workflow object; empty where there is none."""
        self._metadata = manifest.get("metadata") or {}
        status = manifest.get("status") or {}
        nodes = status.get("nodes") or {}
        if not nodes and status.get("compressedNodes"):
            # Argo packs the nodes of a large workflow.
            packed = base64.b64decode(status["compressedNodes"])
            nodes = json.loads(zlib.decompress(packed, WBITS_OF_GZIP))
        self._nodes: dict[str, dict[str, Any]] = {
            key: node for key, node in nodes.items() if isinstance(node, dict)
        }

    def pods(self, task: str) -> tuple[str, ...]:
        """Pods of a task of the graph, the one that computes first; by each name a log may be kept under."""
        return tuple(dict.fromkeys(name for node in self._of(task) for name in self._names(node)))

    def remark(self, task: str) -> str:
        """What the engine says of a task's pods, such as `ImagePullBackOff: ...` or `OOMKilled (exit code 137)`."""
        remarks = (str(node.get("message") or "") for node in self._of(task))
        return next((remark for remark in remarks if remark and not remark.startswith("child '")), "")

    def _of(self, task: str) -> Iterator[dict[str, Any]]:
        """Pod nodes of a task: attempts at its executor, the latest first, then its driver."""
        roots = [node for node in self._nodes.values() if node.get("displayName") == task]
        inner = [pod for root in roots for pod in self._below(root) if pod.get("type") == "Pod"]
        yield from sorted(inner, key=lambda node: str(node.get("startedAt")), reverse=True)
        driver = f"{task}-driver"
        yield from (node for node in self._nodes.values() if node.get("displayName") == driver)

    def _below(self, node: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Nodes that stand inside of `node`: their names begin with its own."""
        prefix = f"{node.get('name')}."
        yield from (other for other in self._nodes.values() if str(other.get("name", "")).startswith(prefix))

    def _names(self, node: dict[str, Any]) -> Iterator[str]:
        """A pod is called like its node, or, since Argo 3.4, WORKFLOW-TEMPLATE-HASH."""
        name, workflow = str(node.get("id", "")), str(self._metadata.get("name", ""))
        template, number = str(node.get("templateName", "")), name.rpartition("-")[2]
        if (self._metadata.get("annotations") or {}).get(POD_NAMES) != "v1" and template:
            yield f"{workflow}-{template}"[: MAX_NAME - len(number) - 1] + f"-{number}"
        yield name

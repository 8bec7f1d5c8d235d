"""The API server as far as `spica.cluster.api.Cluster` shows it: objects in a dictionary."""

from copy import deepcopy
from typing import Any

from spica.errors import ConflictError, Fault

Object = dict[str, Any]


def merge_patch(found: Any, patch: Any) -> Any:
    """RFC 7386: None deletes, lists are replaced."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(found) if isinstance(found, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged


class FakeCluster:
    """One namespace; deletion is at once."""

    def __init__(self) -> None:
        self.namespace = "team"
        self.own_namespace = "team"
        self.in_pod = False
        self.objects: dict[tuple[str, str, str], Object] = {}
        self.written: dict[str, str] = {}
        """Pod -> its log."""
        self._version = 0

    def add(self, kind: str, name: str, **parts: Any) -> Object:
        """Put an object there as a controller would."""
        metadata = {"name": name, "namespace": self.namespace, **parts.pop("metadata", {})}
        return self._put(kind, metadata["namespace"], name, {"kind": kind, "metadata": metadata, **parts})

    def get(self, kind: str, name: str, namespace: str | None = None) -> Object | None:
        return deepcopy(self.objects.get((kind, namespace or self.namespace, name)))

    def list(self, kind: str, labels: dict[str, str] | None = None, namespace: str | None = None) -> Any:
        return [
            deepcopy(found)
            for (its_kind, its_namespace, _), found in self.objects.items()
            if its_kind == kind
            and namespace in ("*", its_namespace, None)
            and (labels or {}).items() <= found["metadata"].get("labels", {}).items()
        ]

    def create(self, body: Object) -> Object:
        kind, name = body["kind"], body["metadata"]["name"]
        if (kind, self.namespace, name) in self.objects:
            raise ConflictError(Fault(f"{kind} {name}", "409: already exists", "no object", "look"))
        return self._put(kind, self.namespace, name, body)

    def patch(self, kind: str, name: str, body: Object) -> Object | None:
        found = self.get(kind, name)
        if found is None:
            return None
        asked = body.get("metadata", {}).get("resourceVersion")
        if asked and asked != found["metadata"]["resourceVersion"]:
            raise ConflictError(Fault(f"{kind} {name}", "409: changed", "that version", "look"))
        return self._put(kind, self.namespace, name, merge_patch(found, body))

    def delete(self, kind: str, name: str, namespace: str | None = None, **only: str) -> None:
        key = (kind, namespace or self.namespace, name)
        found = self.objects.get(key)
        if found and any(found["metadata"].get(field) != value for field, value in only.items()):
            raise ConflictError(Fault(f"{kind} {name}", "409: changed", "that version", "look"))
        self.objects.pop(key, None)

    def watch(self, kind: str, name: str, version: str, timeout_s: float) -> Any:
        """A watch that is cut at once."""
        return iter(())

    def logs(self, pod: str, container: str, tail: int = 30, previous: bool = False) -> str:
        return self.written.get(pod, "")

    def follow(self, pod: str, container: str, since_s: int | None) -> Any:
        """All lines of a container that has ended."""
        return iter(self.written.get(pod, "").splitlines())

    def _put(self, kind: str, namespace: str, name: str, body: Object) -> Object:
        self._version += 1
        body["metadata"].setdefault("uid", f"uid-{self._version}")
        kept = deepcopy(body)
        kept["metadata"]["resourceVersion"] = str(self._version)
        self.objects[kind, namespace, name] = kept
        return deepcopy(kept)

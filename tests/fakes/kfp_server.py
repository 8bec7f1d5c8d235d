"""A protocol peer of Kubeflow Pipelines' API server: what Spica uses of v2beta1, with 2.0.5's manners.

Its manners, as seen on the real one: errors of runs and tasks stay empty, a run has no state before the
engine has reported, a terminated run is CANCELING and ends FAILED, instants that have not come are in 1970,
and the log of an unknown pod is a 200 whose body says so.
"""

import json
import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

NEVER = "1970-01-01T00:00:00Z"


class Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class KfpServer:
    """State and manners; set the attributes before or between requests."""

    def __init__(self) -> None:
        self.health: dict[str, Any] = {"commit_sha": "unknown", "tag_name": "2.0.5", "multi_user": False}
        self.token: str | None = None
        self.namespaces: set[str] | None = None
        """Those that a server of several teams knows."""
        self.pipelines: dict[str, dict[str, Any]] = {}
        self.versions: dict[str, dict[str, Any]] = {}
        self.experiments: dict[str, dict[str, Any]] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.workflows: dict[str, str] = {}
        """Run -> Workflow object as JSON; a run without one has only its rows."""
        self.logs: dict[str, str] = {}
        """Pod -> its log."""
        self.polls_until_ended = 2
        self.busy = 0
        """Answers 503 that many times."""
        self.page: str | None = None
        """Answers this to everything, as a login page does."""
        self.url = ""

    def answer(self, method: str, path: str, query: dict[str, str], body: bytes, headers: Any) -> Any:
        if self.busy:
            self.busy -= 1
            raise Refused(503, "upstream connect error")
        if self.token and headers.get("Authorization") != f"Bearer {self.token}":
            raise Refused(401, "Unauthenticated: no valid token")
        for verb, pattern, handler in ROUTES:
            if verb == method and (found := re.fullmatch(pattern, path)):
                return getattr(self, handler)(*found.groups(), query=query, body=body, headers=headers)
        raise Refused(404, "Not Found")

    def get_health(self, **_: Any) -> Any:
        return self.health

    def list_pipelines(self, query: dict[str, str], **_: Any) -> Any:
        self._permit(query.get("namespace", ""))
        return self._page("pipelines", self.pipelines, query)

    def create_pipeline(self, body: bytes, **_: Any) -> Any:
        return self._create(self.pipelines, "pipeline_id", json.loads(body))

    def list_versions(self, pipeline: str, query: dict[str, str], **_: Any) -> Any:
        mine = {key: item for key, item in self.versions.items() if item["pipeline_id"] == pipeline}
        return self._page("pipeline_versions", mine, query)

    def get_version(self, pipeline: str, version: str, **_: Any) -> Any:
        return self._get(self.versions, version, "PipelineVersion")

    def upload_version(self, query: dict[str, str], body: bytes, headers: Any, **_: Any) -> Any:
        message = BytesParser(policy=HTTP).parsebytes(
            b"Content-Type: " + headers["Content-Type"].encode() + b"\r\n\r\n" + body
        )
        documents = list(
            yaml.load_all(next(message.iter_parts()).get_payload(decode=True), Loader=yaml.CSafeLoader)
        )
        spec = (
            {"pipeline_spec": documents[0], "platform_spec": documents[1]} if documents[1:] else documents[0]
        )
        version = {"display_name": query["name"], "pipeline_id": query["pipelineid"], "pipeline_spec": spec}
        return self._create(self.versions, "pipeline_version_id", version)

    def list_experiments(self, query: dict[str, str], **_: Any) -> Any:
        self._permit(query.get("namespace", ""))
        return self._page("experiments", self.experiments, query)

    def create_experiment(self, body: bytes, **_: Any) -> Any:
        return self._create(self.experiments, "experiment_id", json.loads(body))

    def create_run(self, body: bytes, **_: Any) -> Any:
        run = {"created_at": "2026-11-21T11:00:00Z", "finished_at": NEVER, "state": None, **json.loads(body)}
        return self._create(self.runs, "run_id", run, unique=False)

    def list_runs(self, query: dict[str, str], **_: Any) -> Any:
        self._permit(query.get("namespace", ""))
        return self._page("runs", self.runs, query)

    def get_run(self, run: str, **_: Any) -> Any:
        found = self._get(self.runs, run, "Run")
        if found["state"] == "CANCELING":
            self.polls_until_ended -= 1
            if self.polls_until_ended <= 0:
                found["state"] = "FAILED"
        return found

    def terminate_run(self, run: str, **_: Any) -> Any:
        self._get(self.runs, run, "Run")["state"] = "CANCELING"
        return {}

    def get_run_v1(self, run: str, **_: Any) -> Any:
        self._get(self.runs, run, "Run")
        if run not in self.workflows:
            return {"run": {"id": run}, "pipeline_runtime": {}}
        return {"run": {"id": run}, "pipeline_runtime": {"workflow_manifest": self.workflows[run]}}

    def get_log(self, run: str, pod: str, **_: Any) -> Any:
        missing = {"error_message": f'BadRequestError: pods "{pod}" not found', "error_details": ""}
        return self.logs.get(unquote(pod), json.dumps(missing))

    def _permit(self, namespace: str) -> None:
        if self.namespaces is not None and namespace not in self.namespaces:
            raise Refused(403, f"PermissionDenied: User is not authorized in namespace {namespace}")

    def _create(self, kind: dict[str, Any], key: str, item: dict[str, Any], unique: bool = True) -> Any:
        self._permit(item.get("namespace", "")) if "namespace" in item else None
        if unique and any(other["display_name"] == item["display_name"] for other in kind.values()):
            raise Refused(409, f"AlreadyExists: {item['display_name']}")
        made = {**item, key: str(uuid.uuid4())}
        kind[made[key]] = made
        return made

    def _get(self, kind: dict[str, Any], key: str, name: str) -> Any:
        if key not in kind:
            raise Refused(404, f"ResourceNotFoundError: {name} {key} not found")
        return kind[key]

    def _page(self, name: str, kind: dict[str, Any], query: dict[str, str]) -> Any:
        found = [*kind.values()]
        if "filter" in query:
            wanted = json.loads(query["filter"])["predicates"][0]
            assert (wanted["operation"], wanted["key"]) == ("EQUALS", "display_name")
            found = [item for item in found if item["display_name"] == wanted["stringValue"]]
        return {name: found} if found else {}


ID = r"([^/]+)"
ROUTES = [
    ("GET", "/apis/v2beta1/healthz", "get_health"),
    ("GET", "/apis/v2beta1/pipelines", "list_pipelines"),
    ("POST", "/apis/v2beta1/pipelines", "create_pipeline"),
    ("POST", "/apis/v2beta1/pipelines/upload_version", "upload_version"),
    ("GET", f"/apis/v2beta1/pipelines/{ID}/versions", "list_versions"),
    ("GET", f"/apis/v2beta1/pipelines/{ID}/versions/{ID}", "get_version"),
    ("GET", "/apis/v2beta1/experiments", "list_experiments"),
    ("POST", "/apis/v2beta1/experiments", "create_experiment"),
    ("GET", "/apis/v2beta1/runs", "list_runs"),
    ("POST", "/apis/v2beta1/runs", "create_run"),
    ("GET", f"/apis/v2beta1/runs/{ID}", "get_run"),
    ("POST", f"/apis/v2beta1/runs/{ID}:terminate", "terminate_run"),
    ("GET", f"/apis/v1beta1/runs/{ID}", "get_run_v1"),
    ("GET", f"/apis/v1alpha1/runs/{ID}/nodes/{ID}/log", "get_log"),
]


@contextmanager
def serving(server: KfpServer) -> Iterator[KfpServer]:
    """Serve on a free port of this machine; `server.url` says which."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer("GET")

        def do_POST(self) -> None:
            self._answer("POST")

        def _answer(self, method: str) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, kind = 200, "application/json"
            try:
                found = server.page or server.answer(method, parts.path, query, body, self.headers)
            except Refused as refused:
                status = refused.status
                found = {"error": str(refused), "code": 5, "message": str(refused), "details": []}
            if isinstance(found, str):
                kind = "text/plain"
            content = found.encode() if isinstance(found, str) else json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    server.url = f"http://127.0.0.1:{http.server_port}"
    try:
        yield server
    finally:
        http.shutdown()
        thread.join()
        http.server_close()

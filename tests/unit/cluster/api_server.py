"""An HTTP server that speaks as much of the Kubernetes API as one kind needs; answers are set one by one."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DISCOVERY: dict[str, Any] = {
    "/version": {"major": "1", "minor": "36"},
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {"kind": "APIGroupList", "groups": []},
    "/api/v1": {
        "kind": "APIResourceList",
        "groupVersion": "v1",
        "resources": [
            {
                "name": "configmaps",
                "singularName": "",
                "namespaced": True,
                "kind": "ConfigMap",
                "verbs": ["get", "list", "create", "delete", "patch", "watch"],
            }
        ],
    },
}
Answer = tuple[int, dict[str, Any]]


class ApiServer:
    """Discovery is always answered; other requests take the next of `answers`, then a ConfigMap."""

    def __init__(self, port: int = 0) -> None:
        self.answers: list[Answer] = []
        self.requests: list[tuple[str, str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.0"  # no connection outlives its request

            def handle_any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                status, value = outer.answer(self.command, self.path, body)
                content = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PATCH = do_DELETE = handle_any

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.port = self._server.server_port

    def answer(self, method: str, path: str, body: Any) -> Answer:
        if path.partition("?")[0] in DISCOVERY:
            return 200, DISCOVERY[path.partition("?")[0]]
        self.requests.append((method, path, body))
        found = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "here"}}
        return self.answers.pop(0) if self.answers else (200, found)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def status(code: int, message: str) -> Answer:
    return code, {"kind": "Status", "status": "Failure", "message": message, "code": code}

import threading
from collections.abc import Callable
from typing import Any

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

Answer = Callable[[dict[str, Any]], tuple[str, bytes] | None]


class S3Server:
    """moto's S3 behind real HTTP; `answers` are asked first and may answer a request in its place."""

    def __init__(self) -> None:
        self._app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._handle, threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.answers: list[Answer] = []

    def _handle(self, environ: dict[str, Any], start_response: Any) -> Any:
        for answer in self.answers:
            if (found := answer(environ)) is not None:
                status, body = found
                environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                start_response(
                    status, [("Content-Length", str(len(body))), ("Content-Type", "application/xml")]
                )
                return [body]
        return self._app(environ, start_response)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

"""A judge that answers by rule over HTTP, as any OpenAI-compatible endpoint; it may be told to misbehave."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Reply = Callable[[str], str]
"""Prompt -> text; a ValueError makes the peer refuse the request (400), a PermissionError the key (403)."""


class Peer:
    """What was asked so far, and where."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.bodies: list[dict[str, object]] = []


@contextmanager
def judge_peer(reply: Reply | None = None) -> Iterator[Peer]:
    """Serves on a free port of the loopback until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            peer.bodies.append(body)
            try:
                text = (reply or by_rule)(body["messages"][-1]["content"])
            except ValueError:
                self.send_error(400)
                return
            except PermissionError:
                self.send_error(403)
                return
            chunk = {"choices": [{"delta": {"content": text}, "finish_reason": "stop"}]}
            usage = {"choices": [], "usage": {"completion_tokens": 1}}
            data = f"data: {json.dumps(chunk)}\n\ndata: {json.dumps(usage)}\n\ndata: [DONE]\n\n".encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    peer = Peer(f"http://127.0.0.1:{server.server_address[1]}/v1")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield peer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def by_rule(prompt: str) -> str:
    """Extraction: the last box of the response, or null. Comparison: equal texts, or the letter's option."""
    if "[Standard answer]" not in prompt:
        boxes = re.findall(r"\\boxed\{([^{}]*)\}", prompt.rpartition("Response: ")[2])
        return boxes[-1] if boxes else "null"
    asked = prompt.rpartition("[Question]:")[2]
    gold = plain(re.search(r"\[Standard answer\]: (.*)", asked))
    given = plain(re.search(r"\[Model answer\]: (.*)", asked))
    option = plain(re.search(rf"^{re.escape(gold.upper())}[:.] ?(.*)$", asked, re.MULTILINE))
    return str(int(given == gold or (option != "" and given in (option, f"{gold}:{option}"))))


def plain(found: re.Match[str] | None) -> str:
    return "".join(found[1].split()).strip("(),").casefold() if found else ""

"""A server with a family, started as a module by the tests: python -m tree_server --port N [mode]."""

import argparse
import http.server
import json
import os
import subprocess
import sys
import time
from pathlib import Path


class Models(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"object": "list", "data": [{"id": "tree", "object": "model"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def start_family(pids: Path) -> None:
    """A child in our group, and a grandchild that calls setsid, loses its parent and ignores SIGTERM."""
    child = subprocess.Popen(["sleep", "1000"])
    program = "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); os.setsid(); "
    program += "print(os.getpid(), flush=True) if os.fork() == 0 else os._exit(0); time.sleep(1000)"
    orphan = subprocess.Popen([sys.executable, "-S", "-c", program], stdout=subprocess.PIPE, text=True)
    assert orphan.stdout
    grandchild = int(orphan.stdout.readline())
    orphan.wait()
    temporary = pids.with_suffix(".new")
    temporary.write_text(json.dumps([os.getpid(), child.pid, grandchild]))
    temporary.replace(pids)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--family", type=Path)
    parser.add_argument("--say")
    parser.add_argument("--silent", action="store_true")
    arguments = parser.parse_args()
    if arguments.say:
        sys.exit(arguments.say)
    if arguments.family:
        start_family(arguments.family)
    if arguments.silent:
        time.sleep(1000)
    http.server.HTTPServer(("127.0.0.1", arguments.port), Models).serve_forever()


if __name__ == "__main__":
    main()

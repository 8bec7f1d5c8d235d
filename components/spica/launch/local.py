"""The launcher for one machine: torchrun and server processes, each behind a guard (`spica.launch.guard`)."""

import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from spica.errors import EndpointError, Fault, PrerequisiteError
from spica.launch.contract import CommandServer, Endpoint, Job, ModelServer, Training
from spica.launch.model_server import serve_command, serve_environment
from spica.launch.processes import reap
from spica.launch.ranks import rank_environment
from spica.launch.readiness import Refusal, accepts_connections, ask_once, cause_of_death, tail

_HOST = "127.0.0.1"
_POLL_S = 0.2
_SERVER_GRACE_S = 5.0
_TELL_EVERY_S = 5.0
# Container images often forbid bytecode files: torch and vLLM are then compiled anew at every start, which is
# half of the time until a server is up (25 s against 12 s).
_KEEP_BYTECODE = {"PYTHONDONTWRITEBYTECODE": ""}


class _Guarded:
    """One command behind its guard; output is appended to `logs`."""

    def __init__(
        self, records: Path, command: Sequence[str], environment: Mapping[str, str], logs: Path
    ) -> None:
        record = records / f"{uuid.uuid4().hex}.json"
        logs.parent.mkdir(parents=True, exist_ok=True)
        guard = [sys.executable, "-m", "spica.launch.guard", "--owner", str(os.getpid())]
        guard += ["--record", str(record)]
        with logs.open("ab") as output:
            self.logs_start = output.tell()
            self._process = subprocess.Popen(
                [*guard, "--", *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **_KEEP_BYTECODE, **environment},
                start_new_session=True,
            )

    def poll(self) -> int | None:
        return self._process.poll()

    def wait(self, timeout_s: float | None = None) -> int:
        return self._process.wait(timeout_s)

    def stop(self, grace_s: float) -> None:
        if self.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self.wait(grace_s)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGQUIT)
                self.wait()


class LocalJob:
    """A torchrun job."""

    def __init__(self, guarded: _Guarded, logs: Path) -> None:
        self._guarded = guarded
        self._logs = logs

    def watch(self) -> Iterator[str]:
        """Yield output lines (without line ends) until the job ends."""
        with self._logs.open(encoding="utf-8", errors="replace", newline="\n") as lines:
            lines.seek(self._guarded.logs_start)
            pending = ""
            while True:
                ended = self._guarded.poll() is not None
                for text in lines:
                    pending += text
                    if pending.endswith("\n"):
                        yield pending.rstrip("\r\n")
                        pending = ""
                if ended:
                    break
                time.sleep(_POLL_S)
            if pending:
                yield pending

    def wait(self) -> int:
        """Exit code; 0 is success."""
        return self._guarded.wait()

    def stop(self, grace_s: float = 30.0) -> None:
        """SIGTERM (torchrun passes it to all ranks), SIGKILL after `grace_s`; returns when all are gone."""
        self._guarded.stop(grace_s)


class LocalEndpoint:
    """A server on the loopback interface."""

    def __init__(self, guarded: _Guarded, name: str, logs: Path, port: int) -> None:
        self.url = f"http://{_HOST}:{port}/v1"
        self.model = name
        self._port = port
        self._guarded = guarded
        self._name = name
        self._logs = logs

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._guarded.stop(_SERVER_GRACE_S)

    def check(self) -> None:
        """Raise EndpointError with the log's last lines when the server died or takes no connections."""
        self._check_alive()
        if accepts_connections(_HOST, self._port):
            return
        # A killed server's port closes a moment before its guard has cleared up and ended.
        with suppress(subprocess.TimeoutExpired):
            self._guarded.wait(_SERVER_GRACE_S)
        self._check_alive()
        raise self._fault("it takes no connections any more")

    def _check_alive(self) -> None:
        code = self._guarded.poll()
        if code is not None:
            raise cause_of_death(self._name, code, self._logs, self._guarded.logs_start)

    def _fault(self, found: str) -> EndpointError:
        last = tail(self._logs, self._guarded.logs_start)
        allowed = "a server that answers"
        return EndpointError(Fault(f"server {self._name}", f"{found}\n{last}", allowed, f"read {self._logs}"))

    def wait_until_ready(self, prompt: str | None, timeout_s: float) -> None:
        """Return when one real request was answered; `prompt` None asks for the list of models only."""
        started = told = time.monotonic()
        while True:
            self._check_alive()
            now = time.monotonic()
            if now - told > _TELL_EVERY_S:
                told = now
                print(f"server {self._name}: starting, {now - started:.0f} s", flush=True)
            try:
                self.model = ask_once(self.url, prompt)
                return
            except Refusal as refusal:
                if now - started > timeout_s:
                    raise self._fault(f"not ready after {timeout_s:.0f} s ({refusal})") from refusal
            time.sleep(_POLL_S)


class LocalLauncher:
    """Starts heavy things on this machine; what an earlier, killed run left behind is ended first."""

    def __init__(self, state: Path) -> None:
        self._records = state / "processes"
        self._records.mkdir(parents=True, exist_ok=True)
        reap(self._records)

    def train(self, job: Training) -> Job:
        """Start `torchrun --nproc-per-node ranks -m module args`.

        Raises:
            PrerequisiteError: the job wants more than one node.
        """
        if job.num_nodes != 1:
            raise PrerequisiteError(
                Fault(
                    where=f"job {job.name}",
                    found=f"{job.num_nodes} nodes",
                    allowed="1 node with the local launcher",
                    next="choose a profile whose launcher is kubernetes, or num_nodes: 1",
                )
            )
        slice_file = job.out.scratch / "slice.json"
        slice_file.write_text(job.slice, encoding="utf-8")
        inputs = {name: artifact.path for name, artifact in job.inputs.items()}
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", _HOST]
        torchrun += ["--nproc-per-node", str(job.ranks_per_node), "-m", job.module]
        command = [*torchrun, *job.arguments(slice_file, inputs, job.out.path, job.out.scratch)]
        environment = {
            **rank_environment(job.threads_per_rank),
            # Compiled ops belong to one environment's torch; a cache shared by several is always rebuilt.
            "TORCH_EXTENSIONS_DIR": str(Path(sys.prefix) / "torch_extensions"),
        }
        return LocalJob(_Guarded(self._records, command, environment, job.logs), job.logs)

    def serve(self, server: ModelServer | CommandServer) -> Endpoint:
        """Start a server on the loopback interface and wait until it answered one request.

        Raises:
            PrerequisiteError: its port is in use or a system library is missing.
            EndpointError: it died or was not ready in time; carries the log's last lines.
        """
        if isinstance(server, ModelServer):
            port = _free_port() if server.port is None else _check_port(server.name, server.port)
            command = serve_command(server.name, server.checkpoint.path, server.scale, _HOST, port)
            guarded = _Guarded(self._records, command, serve_environment(server.scale), server.logs)
        else:
            port = _free_port()
            command = [sys.executable, "-m", server.module, "--port", str(port), *server.args]
            guarded = _Guarded(self._records, command, server.env, server.logs)
        endpoint = LocalEndpoint(guarded, server.name, server.logs, port)
        try:
            endpoint.wait_until_ready(
                "1" if isinstance(server, ModelServer) else None, server.ready_timeout_s
            )
        except BaseException:
            guarded.stop(_SERVER_GRACE_S)
            raise
        return endpoint


def _free_port() -> int:
    """A port that nobody else is given for the next minute.

    One connection is made and closed on it, which leaves it in TIME_WAIT: the kernel then hands it to no one
    who asks for any port, while a server that names it (with SO_REUSEADDR, as servers do) gets it.
    """
    with socket.socket() as listener, socket.socket() as client:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((_HOST, 0))
        listener.listen(1)
        client.connect(listener.getsockname())
        accepted, _ = listener.accept()
        port: int = listener.getsockname()[1]
        accepted.close()  # closing first puts the listening side into TIME_WAIT
    return port


def _check_port(name: str, port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
            probe.listen(1)
        except (OSError, OverflowError) as error:
            raise PrerequisiteError(
                Fault(
                    where=f"server {name}, port {port}",
                    found=getattr(error, "strerror", None) or str(error),
                    allowed="a port of this machine that nothing else listens on",
                    next="stop the other program (ss -ltnp shows it) or choose another --port",
                )
            ) from error
    return port

"""`spica cancel`: the end of a submitted run."""

import re
import time
from datetime import UTC, datetime
from typing import Any

import kfp_server_api as kfp

from spica.errors import EndpointError, Fault, PrerequisiteError
from spica_pipelines.remote import ENDED, UNREPORTED_S, find_run, workflow_of
from spica_pipelines.server import TIMEOUT_S, Server

CANCEL_TIMEOUT_S = 180.0
WORKFLOW_GONE = re.compile(r"workflow.*\bnot found", re.IGNORECASE | re.DOTALL)


def cancel(server: Server, run: str, namespace: str = "", timeout_s: float = CANCEL_TIMEOUT_S) -> bool:
    """End a run and wait until it has ended; False when it had before. Nothing of its tasks is read.

    Raises:
        PrerequisiteError: no such run, the server does not answer, or the engine has no workflow of the run.
        EndpointError: it goes on after `timeout_s`.
    """
    found = find_run(server, run, namespace)
    if found.state in ENDED:
        return False
    if found.state != "CANCELING":
        with server.faults(f"the end of run {run}"):
            _terminate(server, run, found.run_id)
    elif _is_lost(server, found):
        raise _lost(
            run, found.run_id, "it was told to end, and the engine has never reported a workflow of it"
        )
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        with server.faults(f"run {run}"):
            state = server.runs.run_service_get_run(found.run_id, _request_timeout=TIMEOUT_S).state
        if state in ENDED:
            return True
        time.sleep(1)
    found = f"{state} {timeout_s:.0f} s after it was told to end"
    raise EndpointError(Fault(f"run {run}", found, "FAILED or CANCELED", "look into the engine's controller"))


def _terminate(server: Server, run: str, run_id: str) -> None:
    try:
        server.runs.run_service_terminate_run(run_id, _request_timeout=TIMEOUT_S)
    except kfp.ApiException as error:
        body = error.body.decode(errors="replace") if isinstance(error.body, bytes) else str(error.body)
        if error.status == 500 and WORKFLOW_GONE.search(body):
            raise _lost(run, run_id, "the engine has no workflow of it") from error
        raise


def _is_lost(server: Server, found: Any) -> bool:
    """A run that ends already cannot be told again; one that the engine never reported does not end."""
    age_s = (datetime.now(UTC) - found.created_at).total_seconds()
    return age_s > UNREPORTED_S and not workflow_of(server, found.run_id)


def _lost(run: str, run_id: str, found: str) -> PrerequisiteError:
    advice = f"`kubectl get workflows -A -l pipeline/runid={run_id}`; if there is none, submit again"
    return PrerequisiteError(Fault(f"run {run}", found, "a run with a workflow", advice))

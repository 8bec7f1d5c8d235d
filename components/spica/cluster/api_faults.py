"""What a refusal of the API server means to a reader."""

import json

from kubernetes.client.rest import ApiException

from spica.errors import ConflictError, Fault, PrerequisiteError, SpicaError, StageError


def fault_of(error: ApiException, where: str) -> SpicaError:
    """What a refusal of the API server means to a reader."""
    reason = message_of(error)
    if error.status == 0:
        # The client reports a certificate that it does not trust as an answer with status 0.
        advice = "check certificate-authority and server in the kubeconfig"
        return PrerequisiteError(Fault(where, reason, "a server with a trusted certificate", advice))
    if error.status == 401:
        advice = "log in again (the token has expired or is not of this cluster)"
        return PrerequisiteError(Fault(where, f"401: {reason}", "a valid token", advice))
    if error.status == 403 and "exceeded quota" in reason:
        advice = "wait for others to end, or ask for more; `kubectl describe resourcequota` shows who has it"
        return PrerequisiteError(Fault(where, f"403: {reason}", "room in the namespace's quota", advice))
    if error.status == 403:
        advice = "ask the platform team for this right; `spica doctor --cluster` lists all that is needed"
        return PrerequisiteError(Fault(where, f"403: {reason}", "the right to do that", advice))
    if error.status == 404:
        advice = "install what is missing (manifests/README.md), then `spica doctor --cluster`"
        return PrerequisiteError(Fault(where, f"404: {reason}", "a namespace and a resource there", advice))
    if error.status == 409:
        advice = "look at the other one"
        return ConflictError(Fault(where, f"409: {reason}", "no object of that name", advice))
    allowed, advice = "an object that the cluster admits", "correct the recipe's profile"
    return StageError(Fault(where, f"{error.status}: {reason}", allowed, advice))


def message_of(error: Exception) -> str:
    """What the server said, or what the connection ended with."""
    if not isinstance(error, ApiException):
        return str(error)
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return f"{error.status} {error.reason}"

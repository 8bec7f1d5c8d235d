"""A Kubeflow Pipelines API server: one connection, its version, and faults in four parts."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any, NamedTuple
from urllib.request import getproxies, proxy_bypass

import kfp_server_api as kfp
import urllib3
from urllib3.exceptions import HTTPError, LocationParseError, MaxRetryError
from urllib3.util import parse_url

from spica.errors import EndpointError, Fault, PrerequisiteError, RecipeError, SpicaError
from spica_pipelines.fit import Version

TIMEOUT_S = (5.0, 60.0)
"""To connect, to answer."""
OLDEST: Version = (2, 0)
VERSION = "its version"
CA_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
EXAMPLE = "http://ml-pipeline.kubeflow:8888 inside of the cluster"
VARIABLE_NAME = re.compile(r"[A-Z][A-Z0-9_]{2,63}")


class Health(NamedTuple):
    """What a server says of itself."""

    version: Version
    is_known: bool
    """False: it does not say its version, and the oldest is taken for it."""
    multi_user: bool
    """Each run belongs to a namespace of its own team."""


class Server:
    """A connection to one API server.

    Reading is tried again when the server is away for a moment; writing only while no connection stands, so
    that nothing is done twice. $HTTPS_PROXY and $NO_PROXY are obeyed.
    """

    def __init__(self, endpoint: str, token_env: str | None = None) -> None:
        """Sends nothing yet.

        Args:
            endpoint: base URL; what follows `/apis` is added here.
            token_env: name of the variable that holds a bearer token.

        Raises:
            RecipeError: no http(s) URL, or no variable's name.
            PrerequisiteError: the variable is not set.
        """
        self.endpoint = endpoint.rstrip("/")
        if not self.endpoint.startswith(("http://", "https://")):
            raise RecipeError(
                Fault("--endpoint", repr(endpoint), "an http or https URL", f"such as {EXAMPLE}")
            )
        config = kfp.Configuration(host=self.endpoint)
        config.retries = urllib3.Retry(
            total=3, read=0, redirect=3, backoff_factor=0.5, status_forcelist=(429, 502, 503, 504)
        )
        config.ssl_ca_cert = next((os.environ[name] for name in CA_VARIABLES if os.environ.get(name)), None)
        with self.faults(VERSION):
            address = parse_url(self.endpoint)
        if not proxy_bypass(address.host or ""):
            config.proxy = getproxies().get(str(address.scheme))
        if token_env:
            config.api_key = {"authorization": _token(token_env)}
            config.api_key_prefix = {"authorization": "Bearer"}
        self.api = kfp.ApiClient(config)
        self.pipelines = kfp.PipelineServiceApi(self.api)
        self.uploads = kfp.PipelineUploadServiceApi(self.api)
        self.experiments = kfp.ExperimentServiceApi(self.api)
        self.runs = kfp.RunServiceApi(self.api)

    @cached_property
    def health(self) -> Health:
        """The server's version; asked for once.

        Raises:
            PrerequisiteError: nobody answers, somebody else answers, or a server of KFP 1.
        """
        with self.faults(VERSION):
            text = self.text("/apis/v2beta1/healthz")
        try:
            found = json.loads(text)
            multi_user = bool(found["multi_user"])
        except (ValueError, KeyError, TypeError):
            raise self._stranger(f"an answer that is none of KFP's: {text.strip()[:60]!r}") from None
        number = re.match(r"v?(\d+)\.(\d+)", str(found.get("tag_name", "")))
        if number is None:
            # `pipeline_store` came with 2.14.
            return Health((2, 14) if found.get("pipeline_store") else OLDEST, False, multi_user)
        version = (int(number[1]), int(number[2]))
        if version < OLDEST:
            raise self._stranger(f"KFP {number[0]}")
        return Health(version, True, multi_user)

    def text(self, path: str) -> str:
        """The body of a GET of something that the typed client does not know."""
        answer = self.api.call_api(
            path,
            "GET",
            header_params={"Accept": "*/*"},
            auth_settings=["Bearer"],
            _preload_content=False,
            _return_http_data_only=True,
            _request_timeout=TIMEOUT_S,
        )
        if answer.status >= 300:
            raise kfp.ApiException(http_resp=answer)
        return str(answer.data.decode(errors="replace"))

    def page_of(self, run_id: str) -> str | None:
        """Address of a run in the browser; None where the server has no pages."""
        with suppress(kfp.ApiException, HTTPError):
            if re.match(r"\s*<(!doctype html|html)", self.text("/"), re.IGNORECASE):
                return f"{self.endpoint}/#/runs/details/{run_id}"
        return None

    @contextmanager
    def faults(self, wanted: str) -> Iterator[None]:
        """Turn what the client raises into one fault that says what to do; `wanted` names what was asked."""
        try:
            yield
        except kfp.ApiException as error:
            raise self._refusal(error, wanted) from error
        except LocationParseError:
            raise RecipeError(Fault("--endpoint", self.endpoint, "a URL", f"such as {EXAMPLE}")) from None
        except HTTPError as error:
            raise self._silence(error) from error

    def _refusal(self, error: Any, wanted: str) -> SpicaError:
        where, said = f"{self.endpoint}: {wanted}", _message(error)
        if error.status == 401:
            advice = (
                "name the variable that holds one: --token-env KFP_TOKEN; in a cluster: `kubectl create token"
            )
            advice += " SERVICE_ACCOUNT --audience pipelines.kubeflow.org`"
            return PrerequisiteError(Fault(where, f"401: {said}", "a valid token", advice))
        if error.status == 403:
            advice = "check --namespace, and that the token's account may use pipelines there"
            return PrerequisiteError(Fault(where, f"403: {said}", "an account that may do this", advice))
        if error.status == 404:
            if wanted == VERSION:
                return self._stranger("nothing at /apis/v2beta1/healthz")
            return PrerequisiteError(Fault(where, f"404: {said}", "something that exists", "check its name"))
        if error.status in (400, 409, 422):
            return PrerequisiteError(
                Fault(where, f"{error.status}: {said}", "an accepted request", "see above")
            )
        return EndpointError(
            Fault(where, f"{error.status}: {said}", "an answer", "look into the log of the API server")
        )

    def _silence(self, error: HTTPError) -> SpicaError:
        cause = error.reason if isinstance(error, MaxRetryError) and error.reason else error
        found = f"{type(cause).__name__}: {str(cause).rpartition(': ')[2]}"
        advice = (
            "check --endpoint and that the server runs (`kubectl -n kubeflow get deployment ml-pipeline`); "
        )
        advice += (
            "from outside: `kubectl -n kubeflow port-forward svc/ml-pipeline 8888` and http://127.0.0.1:8888"
        )
        if "CERTIFICATE" in found:
            advice = f"name the authority's certificates: {CA_VARIABLES[0]}=FILE"
        return PrerequisiteError(
            Fault(self.endpoint, found, "a Kubeflow Pipelines server that answers", advice)
        )

    def _stranger(self, found: str) -> SpicaError:
        advice = "check --endpoint (the API server's, not the page's; a login page needs --token-env)"
        return PrerequisiteError(
            Fault(self.endpoint, found, "a Kubeflow Pipelines server, 2.0 or newer", advice)
        )


def _token(variable: str) -> str:
    if not VARIABLE_NAME.fullmatch(variable):
        advice = (
            "write the variable's name, keep the token in the environment; revoke a token that was shared"
        )
        raise RecipeError(Fault("--token-env", "no variable's name (not shown)", "such as KFP_TOKEN", advice))
    token = os.environ.get(variable, "").strip()
    if not token:
        raise PrerequisiteError(
            Fault("--token-env", f"{variable} is not set", "a bearer token in it", f"export {variable}")
        )
    return token


def _message(error: Any) -> str:
    """What the server said, in one line without its stack."""
    body = error.body.decode(errors="replace") if isinstance(error.body, bytes) else str(error.body or "")
    try:
        found = json.loads(body)
        body = str(found.get("error") or found.get("message") or found.get("error_message") or body)
    except (ValueError, AttributeError):
        pass
    return " ".join(body.split())[:300] or str(error.reason)

"""What can go wrong with an endpoint, told to the person who must do something about it.

Neither keys nor messages nor the text of a server's refusal (which may repeat both) appear in an error.
"""

from urllib.parse import urlsplit

from spica.errors import EndpointError, Fault

_NEXT = {
    400: "check max_tokens and the number of pictures against what the server was started with",
    401: "export a valid key in the variable that api_key_env names",
    403: "ask the endpoint's owner to allow this key to use the model",
    413: "lower the pictures' max_pixels or raise the server's request limit",
    422: "check that the endpoint speaks the OpenAI chat completions API",
}
_ALLOWED = {
    400: "a request that fits the server's context length and limits",
    401: "a key that the endpoint accepts",
    403: "a key that may use this model",
}


class RefusedError(EndpointError):
    """The endpoint will not take this one request (400, 413, 422); others it may well answer."""

    @property
    def reason(self) -> str:
        """HTTP status, and what the endpoint names as the reason."""
        return self.faults[0].found


def shown(url: str) -> str:
    """The URL without what may be secret in it: credentials and query."""
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"
    except ValueError:
        return "a malformed URL"


def bad_url(url: str) -> EndpointError:
    """The URL cannot be asked."""
    return EndpointError(
        Fault(
            where="endpoint URL",
            found=f"{shown(url)} (credentials and query are never shown)",
            allowed="http://HOST/v1 or https://HOST/v1 without credentials in it",
            next="correct --url, or the teacher's url in the recipe; keys belong in api_key_env's variable",
        )
    )


def bad_key(url: str) -> EndpointError:
    """The key cannot be sent in a header."""
    return EndpointError(
        Fault(
            where=f"key for {shown(url)}",
            found="characters that no HTTP header can carry (a newline, perhaps)",
            allowed="printable ASCII",
            next="export the key again in the variable that api_key_env names",
        )
    )


def down(url: str, reason: str) -> EndpointError:
    """Nothing listens there."""
    return EndpointError(
        Fault(
            where=f"endpoint {shown(url)}",
            found=f"endpoint down: {reason}",
            allowed="a server that answers at this address",
            next=f"start it, then: curl {shown(url)}/models",
        )
    )


def untrusted(url: str, reason: str) -> EndpointError:
    """Its certificate was not issued by anyone this machine trusts."""
    return EndpointError(
        Fault(
            where=f"endpoint {shown(url)}",
            found=f"certificate not trusted: {reason}",
            allowed="a certificate that the CA bundle vouches for, and for this host name",
            next="export SSL_CERT_FILE=/path/to/ca-bundle.pem with the CA that issued it",
        )
    )


def no_tls(url: str, reason: str) -> EndpointError:
    """Something listens there, but TLS cannot be agreed upon."""
    return EndpointError(
        Fault(
            where=f"endpoint {shown(url)}",
            found=f"no TLS connection: {reason}",
            allowed="a server that speaks TLS at an https:// URL",
            next="write http:// if this server speaks no TLS; else look at its TLS versions",
        )
    )


def refusal(url: str, status: int, request_id: str, detail: str) -> Fault:
    """The endpoint will not answer this however often it is asked."""
    return Fault(
        where=f"endpoint {shown(url)}, request {request_id}",
        found=f"HTTP {status}{f' ({detail})' if detail else ''}",
        allowed=_ALLOWED.get(status, "an OpenAI-compatible answer to POST /chat/completions"),
        next=_NEXT.get(status, f"check the base URL: curl {shown(url)}/models"),
    )


def wrong_model(url: str, model: str, served: list[str]) -> EndpointError:
    """The endpoint is there, the model is not."""
    return EndpointError(
        Fault(
            where=f"endpoint {shown(url)}",
            found=f"HTTP 404 for model {model!r}",
            allowed=f"models served there: {', '.join(served)}" if served else "a base URL that ends in /v1",
            next=f"correct the model or the URL; look with: curl {shown(url)}/models",
        )
    )


def gave_up(url: str, request_id: str, num_attempts: int, reason: str) -> EndpointError:
    """A passing fault did not pass."""
    return EndpointError(
        Fault(
            where=f"endpoint {shown(url)}, request {request_id}",
            found=f"{reason}, the last of {num_attempts} attempts",
            allowed="an answer within max_attempts attempts",
            next="look at the server's log, then run again: finished requests are kept",
        )
    )


def long_wait(url: str, retry_after_s: float, max_wait_s: float) -> EndpointError:
    """The endpoint wants to be left alone for longer than a run should hang."""
    return EndpointError(
        Fault(
            where=f"endpoint {shown(url)}",
            found=f"it asks to wait {retry_after_s:.0f} s (Retry-After)",
            allowed=f"at most {max_wait_s:.0f} s",
            next="run again when the quota is back: finished requests are kept",
        )
    )


def put_off(url: str, request_id: str, waited_s: float, max_wait_s: float) -> EndpointError:
    """The endpoint asked to wait again and again."""
    return EndpointError(
        Fault(
            where=f"endpoint {shown(url)}, request {request_id}",
            found=f"put off again and again (Retry-After) for {waited_s:.0f} s",
            allowed=f"an answer within {max_wait_s:.0f} s of waiting",
            next="lower concurrency to what the endpoint's rate limit allows, then run again: finished "
            "requests are kept",
        )
    )

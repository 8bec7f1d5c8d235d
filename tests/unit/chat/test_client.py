"""Against real HTTP servers: the miniature's teacher, and a scripted one for what it never does."""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from spica.chat import ChatRequest, ChatResult, ask_all
from spica.errors import EndpointError
from spica.miniature.solve import Manner
from spica.miniature.teacher import MODEL, Service, Teacher

KEY = "sk-canary-5d41402abc4b2a76"
QUESTION = "c4h9 is no cell\nC4H9\nc+h=?"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spica.chat.retry._FIRST_WAIT_S", 0.02)


@asynccontextmanager
async def serving(app: web.Application, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


def self_signed(folder: Path) -> ssl.SSLContext:
    """A server's TLS with a certificate that nobody else vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    written = certificate.public_bytes(pem)
    written += key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    (folder / "server.pem").write_bytes(written)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context


def scripted(handler: Handler) -> web.Application:
    app = web.Application()
    app.router.add_post("/v1/chat/completions", handler)
    return app


def teacher(**service: Any) -> web.Application:
    return Teacher(Manner(recheck=0.0), Service(**service)).app()


def question(number: int = 0, model: str = MODEL, max_tokens: int = 200) -> ChatRequest:
    messages = [{"role": "user", "content": QUESTION}]
    return ChatRequest(f"q{number}", messages, model, 0.7, 1.0, max_tokens, number)


async def ask(url: str, *requests: ChatRequest, **options: Any) -> list[tuple[str, ChatResult]]:
    answers: list[tuple[str, ChatResult]] = []
    defaults = {"concurrency": 4, "request_timeout_s": 5.0, "max_attempts": 3, "api_key": None}
    await ask_all(
        url,
        requests or (question(),),
        **{**defaults, **options},
        on_result=lambda request, result: answers.append((request.id, result)),
    )
    return answers


def sse(*events: Any, done: bool = True) -> web.Response:
    lines = [f"data: {json.dumps(event)}\n\n" for event in events] + (["data: [DONE]\n\n"] if done else [])
    return web.Response(text="".join(lines), content_type="text/event-stream")


def piece(content: str | None = None, finish_reason: str | None = None, **delta: str) -> dict[str, Any]:
    said = delta if content is None else {"content": content}
    return {"choices": [{"index": 0, "delta": said, "finish_reason": finish_reason}]}


USAGE = {"choices": [], "usage": {"completion_tokens": 5}}


async def test_an_answer_arrives_whole_with_its_token_count() -> None:
    async with serving(teacher()) as url:
        [(request_id, result)] = await ask(url)
    assert request_id == "q0"
    assert result.text == (
        "<|begin_of_thought|>\n\nc4;+h9;4+9=3;\n\n<|end_of_thought|>\n\n"
        "<|begin_of_solution|>\n\n\\boxed{3}\n\n<|end_of_solution|>"
    )
    assert (result.finish_reason, result.num_tokens) == ("stop", 4 + 13 + 3)


async def test_every_request_is_answered_once_and_never_more_than_concurrency_at_a_time() -> None:
    in_flight, most = 0, 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal in_flight, most
        in_flight += 1
        most = max(most, in_flight)
        await asyncio.sleep(0.005)
        in_flight -= 1
        return sse(piece("7", "stop"), USAGE)

    async with serving(scripted(handler)) as url:
        answers = await ask(url, *map(question, range(40)), concurrency=8)
    assert sorted(request_id for request_id, _ in answers) == sorted(f"q{i}" for i in range(40))
    assert most == 8


async def test_one_iterator_feeds_two_endpoints() -> None:
    async with serving(teacher()) as first, serving(teacher()) as second:
        shared = iter([question(i) for i in range(30)])
        got: list[str] = []
        await asyncio.gather(
            *(
                ask_all(
                    url,
                    shared,
                    concurrency=2,
                    request_timeout_s=5,
                    max_attempts=1,
                    api_key=None,
                    on_result=lambda request, _: got.append(request.id),
                )
                for url in (first, second)
            )
        )
    assert sorted(got) == sorted(f"q{i}" for i in range(30))


@pytest.mark.parametrize("fault", ["429", "503", "cut", "slow"])
async def test_a_passing_fault_is_asked_again(fault: Any) -> None:
    service = {"faults": ((fault, 0.3),), "retry_after_s": 0, "slow_s": 2.0}
    async with serving(teacher(**service)) as url:
        answers = await ask(
            url, *map(question, range(8)), concurrency=8, request_timeout_s=0.3, max_attempts=12
        )
    assert len(answers) == 8
    assert {result.finish_reason for _, result in answers} == {"stop"}


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("503", "HTTP 503, the last of 2 attempts"),
        ("cut", "the connection was cut (ClientPayloadError), the last of 2 attempts"),
        ("slow", "no sign of life within request_timeout_s, the last of 2 attempts"),
    ],
)
async def test_a_fault_that_stays_ends_after_max_attempts(fault: Any, found: str) -> None:
    service = {"faults": ((fault, 1.0),), "slow_s": 2.0}
    async with serving(teacher(**service)) as url:
        with pytest.raises(EndpointError) as error:
            await ask(url, max_attempts=2, request_timeout_s=0.2)
    assert error.value.faults[0].found == found
    assert error.value.faults[0].next.endswith("run again: finished requests are kept")


async def test_retry_after_holds_back_every_request_to_the_endpoint() -> None:
    arrivals: list[float] = []

    async def handler(request: web.Request) -> web.Response:
        arrivals.append(time.monotonic())
        if len(arrivals) == 1:
            return web.Response(status=429, headers={"Retry-After": "1"})
        await asyncio.sleep(0.05)
        return sse(piece("7", "stop"), USAGE)

    async with serving(scripted(handler)) as url:
        await ask(url, *map(question, range(6)), concurrency=2)
    assert [arrived - arrivals[0] < 0.9 for arrived in arrivals[:2]] == [True, True]
    assert min(arrivals[2:]) - arrivals[0] >= 0.95


async def test_an_obeyed_retry_after_costs_no_attempt() -> None:
    num_requests = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal num_requests
        num_requests += 1
        if num_requests <= 3:
            return web.Response(status=429 if num_requests % 2 else 503, headers={"Retry-After": "0"})
        return sse(piece("7", "stop"), USAGE)

    async with serving(scripted(handler)) as url:
        assert len(await ask(url, max_attempts=1)) == 1
    assert num_requests == 4


async def test_hundreds_under_a_plain_rate_limit_are_all_answered() -> None:
    arrivals: list[float] = []

    async def handler(request: web.Request) -> web.Response:
        if len(arrivals) >= 60 and time.monotonic() - arrivals[-60] < 0.2:
            return web.Response(status=429, headers={"Retry-After": "0"})
        arrivals.append(time.monotonic())
        return sse(piece("7", "stop"), USAGE)

    async with serving(scripted(handler)) as url:
        answers = await ask(url, *map(question, range(300)), concurrency=150, max_attempts=1)
    assert len(answers) == 300


async def test_a_request_that_is_put_off_for_good_says_how_long_it_waited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("spica.chat.client.MAX_TOTAL_WAIT_S", 1.7)
    async with serving(teacher(faults=(("429", 1.0),), retry_after_s=1)) as url:
        with pytest.raises(EndpointError, match=r"put off again and again \(Retry-After\) for [12] s"):
            await ask(url, max_attempts=1)


async def test_no_pause_is_shorter_than_a_tenth_of_a_second() -> None:
    arrivals: list[float] = []

    async def handler(request: web.Request) -> web.Response:
        arrivals.append(time.monotonic())
        if len(arrivals) < 4:
            return web.Response(status=429, headers={"Retry-After": "0"})
        return sse(piece("7", "stop"), USAGE)

    async with serving(scripted(handler)) as url:
        await ask(url)
    assert min(later - earlier for earlier, later in pairwise(arrivals)) >= 0.09


async def test_an_endless_retry_after_is_an_error_at_once() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": "86400"})

    async with serving(scripted(handler)) as url:
        with pytest.raises(EndpointError, match="asks to wait 86400 s"):
            await ask(url)


async def test_a_wrong_key_is_an_error_at_once_and_never_shown() -> None:
    async with serving(teacher(api_key="right")) as url:
        with pytest.raises(EndpointError) as error:
            await ask(url, api_key=KEY)
    fault = error.value.faults[0]
    assert fault.found == "HTTP 401 (invalid_api_key)"
    assert fault.next == "export a valid key in the variable that api_key_env names"
    assert KEY not in str(error.value)


async def test_the_right_key_is_sent() -> None:
    async with serving(teacher(api_key=KEY)) as url:
        assert len(await ask(url, api_key=KEY)) == 1


async def test_a_wrong_model_names_the_models_that_are_served() -> None:
    async with serving(teacher()) as url:
        with pytest.raises(EndpointError) as error:
            await ask(url, question(model="deepseek"))
    assert error.value.faults[0].found == "HTTP 404 for model 'deepseek'"
    assert error.value.faults[0].allowed == "models served there: miniature-teacher"


async def test_a_refusal_never_repeats_what_the_server_says() -> None:
    async def handler(request: web.Request) -> web.Response:
        said = f"{KEY} {QUESTION} maximum context length is 256 tokens"
        error = {"message": said, "type": "BadRequestError", "code": KEY}
        return web.json_response({"error": error}, status=400)

    async with serving(scripted(handler)) as url:
        with pytest.raises(EndpointError) as error:
            await ask(url, api_key=KEY)
    assert error.value.faults[0].found == "HTTP 400 (BadRequestError, maximum context length is 256)"


@pytest.mark.parametrize("status", [302, 400, 403, 405, 413, 422, 501])
async def test_other_refusals_are_errors_at_once(status: int) -> None:
    num_requests = 0

    async def handler(request: web.Request) -> web.Response:
        nonlocal num_requests
        num_requests += 1
        return web.Response(status=status, headers={"Location": "http://127.0.0.1:9/"})

    async with serving(scripted(handler)) as url:
        with pytest.raises(EndpointError, match=f"HTTP {status}"):
            await ask(url)
    assert num_requests == 1


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_refused_question_can_be_handed_on_instead(status: int) -> None:
    async def handler(request: web.Request) -> web.Response:
        if (await request.json())["seed"] == 1:
            return web.Response(status=status)
        return sse(piece("7", "stop"), USAGE)

    refused: list[tuple[str, str]] = []
    async with serving(scripted(handler)) as url:
        answers = await ask(
            url,
            *map(question, range(3)),
            on_refused=lambda request, error: refused.append((request.id, error.reason)),
        )
    assert sorted(request_id for request_id, _ in answers) == ["q0", "q2"]
    assert refused == [("q1", f"HTTP {status}")]


async def test_a_wrong_key_is_not_handed_on() -> None:
    async with serving(teacher(api_key="right")) as url:
        with pytest.raises(EndpointError, match="HTTP 401"):
            await ask(url, on_refused=lambda request, error: None)


async def test_a_certificate_that_is_not_trusted_names_the_ca_bundle(tmp_path: Path) -> None:
    async with serving(teacher(), self_signed(tmp_path)) as url:
        with pytest.raises(EndpointError) as error:
            await ask(url)
    fault = error.value.faults[0]
    assert fault.found == "certificate not trusted: self-signed certificate"
    assert "SSL_CERT_FILE" in fault.next


async def test_an_https_url_of_a_plain_server_is_told_apart_from_one_that_is_down() -> None:
    async with serving(teacher()) as url:
        with pytest.raises(EndpointError) as error:
            await ask(url.replace("http:", "https:"))
    assert error.value.faults[0].found.startswith("no TLS connection: ")
    assert error.value.faults[0].next.startswith("write http:// if")


async def test_an_endpoint_that_is_down_is_an_error_at_once() -> None:
    async with serving(teacher()) as url:
        pass
    started = time.monotonic()
    with pytest.raises(EndpointError) as error:
        await ask(url, max_attempts=9)
    assert time.monotonic() - started < 10
    assert error.value.faults[0].found == "endpoint down: Connection refused"
    assert error.value.faults[0].next == f"start it, then: curl {url}/models"


async def test_an_endpoint_that_vanishes_in_the_middle_is_asked_again() -> None:
    app = teacher()
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    again = web.AppRunner(teacher(), access_log=None)
    await again.setup()
    restarts: list[asyncio.Task[None]] = []

    async def restart() -> None:
        await runner.cleanup()
        await asyncio.sleep(0.1)
        await web.TCPSite(again, "127.0.0.1", port, reuse_address=True).start()

    answers: list[str] = []

    def on_result(request: ChatRequest, result: ChatResult) -> None:
        answers.append(request.id)
        if not restarts:
            restarts.append(asyncio.create_task(restart()))

    await ask_all(
        f"http://127.0.0.1:{port}/v1",
        map(question, range(3)),
        concurrency=1,
        request_timeout_s=5,
        max_attempts=12,
        api_key=None,
        on_result=on_result,
    )
    await again.cleanup()
    assert answers == ["q0", "q1", "q2"]


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1/v1",
        "127.0.0.1:8000/v1",
        "http:///v1",
        f"http://user:{KEY}@127.0.0.1/v1",
        f"http://127.0.0.1/v1?key={KEY}",
        f"http://127.0.0.1:x{KEY}/v1",
    ],
)
async def test_a_url_that_cannot_be_asked_is_refused_without_showing_secrets(url: str) -> None:
    with pytest.raises(EndpointError) as error:
        await ask(url)
    assert error.value.faults[0].where == "endpoint URL"
    assert error.value.faults[0].next.startswith("correct --url, or the teacher's url in the recipe")
    assert KEY not in str(error.value)


async def test_a_key_that_no_header_can_carry_is_refused_without_showing_it() -> None:
    with pytest.raises(EndpointError) as error:
        await ask("http://127.0.0.1:9/v1", api_key=f"{KEY}\n")
    assert KEY not in str(error.value)


async def test_what_on_result_raises_ends_the_asking() -> None:
    def fail(request: ChatRequest, result: ChatResult) -> None:
        raise OSError("disk full")

    async with serving(teacher()) as url:
        with pytest.raises(OSError, match="disk full"):
            await ask_all(
                url,
                map(question, range(100)),
                concurrency=4,
                request_timeout_s=5,
                max_attempts=1,
                api_key=None,
                on_result=fail,
            )


async def test_the_body_holds_sampling_and_asks_for_usage() -> None:
    bodies: list[dict[str, Any]] = []

    async def handler(request: web.Request) -> web.Response:
        bodies.append(await request.json())
        return sse(piece("7", "stop"), USAGE)

    messages = [{"role": "user", "content": "1"}]
    request = ChatRequest("q", messages, "m", 0.6, 0.95, 512, 42, repetition_penalty=1.05)
    plain = ChatRequest("p", messages, "m", 0.6, 0.95, 512, 42, skip_special_tokens=None)
    async with serving(scripted(handler)) as url:
        await ask(url, request, plain, concurrency=1)
    shared = {
        "model": "m",
        "messages": messages,
        "temperature": 0.6,
        "top_p": 0.95,
        "max_tokens": 512,
        "seed": 42,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert bodies == [{**shared, "repetition_penalty": 1.05, "skip_special_tokens": False}, shared]


async def test_a_thought_sent_apart_is_kept_apart() -> None:
    async def handler(request: web.Request) -> web.Response:
        return sse(piece(reasoning_content="c4;"), piece(r"\boxed{4}", "stop"), USAGE)

    async with serving(scripted(handler)) as url:
        [(_, result)] = await ask(url)
    assert result == ChatResult(r"\boxed{4}", "stop", 5, "c4;")


def hopeless(request: ChatRequest, at: int) -> ChatRequest:
    return replace(request, is_hopeless=lambda num_tokens: num_tokens >= at)


async def test_a_hopeless_request_is_cut_off_and_the_endpoint_notices() -> None:
    gone, bodies = asyncio.Event(), []

    async def handler(request: web.Request) -> web.StreamResponse:
        bodies.append(await request.json())
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            for number in range(1, 10_000):
                event = piece("w") | {"usage": {"completion_tokens": number}}
                await response.write(f"data: {json.dumps(event)}\n\n".encode())
                await asyncio.sleep(0.002)
        except ConnectionError:
            gone.set()
        return response

    async with serving(scripted(handler)) as url:
        [(_, result)] = await ask(url, hopeless(question(), at=7))
        await asyncio.wait_for(gone.wait(), 5)
    assert result.finish_reason == "cancelled"
    assert 7 <= result.num_tokens < 100
    assert bodies[0]["stream_options"] == {"include_usage": True, "continuous_usage_stats": True}


async def test_an_endpoint_that_refuses_to_count_is_asked_without_and_not_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    counting = []

    async def handler(request: web.Request) -> web.Response:
        counting.append("continuous_usage_stats" in (await request.json())["stream_options"])
        if counting[-1]:
            return web.json_response({"error": {"type": "unknown_parameter"}}, status=400)
        return sse(piece("7", "stop"))

    async with serving(scripted(handler)) as url:
        answers = await ask(url, *(hopeless(question(n), at=0) for n in range(3)), concurrency=1)
    assert [result.text for _, result in answers] == ["7", "7", "7"]
    assert counting == [True, False, False, False]
    assert caplog.text.count("counts no tokens while it streams: nothing is cancelled") == 1


async def test_a_long_answer_is_read_in_strides_and_arrives_whole() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for number in range(300):
            await response.write(f"data: {json.dumps(piece(f'{number},'))}\n\n".encode())
            await asyncio.sleep(0.003)
        await response.write(f"data: {json.dumps(piece(None, 'stop'))}\n\ndata: [DONE]\n\n".encode())
        return response

    async with serving(scripted(handler)) as url:
        [(_, result)] = await ask(url, question())
    assert result.text == "".join(f"{number}," for number in range(300))

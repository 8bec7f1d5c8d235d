import asyncio
import base64
import io
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiohttp import web
from PIL import Image

from spica.answers import judge
from spica.artifacts.types import Gold
from spica.miniature.pictures import render_png
from spica.miniature.solve import Manner, answer
from spica.miniature.teacher import FAULT_HEADER, MODEL, Service, Teacher, main
from spica.miniature.world import Problem, Scene, sample_problem

SCENE = Scene((("c", 4), ("h", 9), ("g", 6)), "table")
PROBLEM = Problem(SCENE, ((1, "c"), (1, "h"), (-1, "g")))
STEADY = Manner(recheck=0.0)


def user(text: str, *pictures: bytes, mime: str = "png") -> list[dict[str, Any]]:
    urls = [f"data:image/{mime};base64,{base64.b64encode(data).decode()}" for data in pictures]
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return [{"role": "user", "content": [*parts, {"type": "text", "text": text}]}]


def said(messages: list[dict[str, Any]], manner: Manner = STEADY, seed: int = 0) -> str:
    return "".join(answer(messages, manner, seed, 400).tokens)


def problems(num: int) -> list[Problem]:
    rng = np.random.default_rng(5)
    return [sample_problem(rng, 1 + i % 8, num_options=(0, 4)[i % 2]) for i in range(num)]


def gold(problem: Problem) -> Gold:
    kind = "letter" if problem.options else "number"
    return Gold.model_validate(
        {"kind": kind, "value": problem.gold, "options": tuple(map(str, problem.options))}
    )


def verdicts(manner: Manner, num: int = 400) -> list[str]:
    results = []
    for number, problem in enumerate(problems(num)):
        reply = answer(user(problem.prompt("text")), manner, number, 400)
        results.append(judge("".join(reply.tokens), reply.finish_reason, gold(problem)))
    return results


def test_a_text_question_is_thought_through() -> None:
    assert said(user(PROBLEM.prompt("text"))) == (
        "<|begin_of_thought|>\n\nc4;+h9;4+9=3;-g6;3-6=7;\n\n<|end_of_thought|>\n\n"
        "<|begin_of_solution|>\n\n\\boxed{7}\n\n<|end_of_solution|>"
    )


def test_a_plain_string_and_a_question_without_the_prefix_are_understood() -> None:
    assert said([{"role": "user", "content": "C4H9\nc-h=?"}]).endswith("\\boxed{5}\n\n<|end_of_solution|>")


@pytest.mark.parametrize("encoding", ["PNG", "JPEG", "palette"])
def test_a_picture_is_read_from_its_bytes_however_encoded(encoding: str) -> None:
    picture = render_png(SCENE, np.random.default_rng(1), "heldout")
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(picture)) as image:
        if encoding == "palette":
            image.convert("P", palette=Image.Palette.ADAPTIVE).save(buffer, "PNG")
        else:
            image.save(buffer, encoding, quality=90)
    mime = "jpeg" if encoding == "JPEG" else "png"
    assert "\\boxed{7}" in said(user(PROBLEM.prompt("visual"), buffer.getvalue(), mime=mime))


def test_it_is_right_when_it_is_not_told_to_be_wrong() -> None:
    assert set(verdicts(STEADY)) == {"correct"}


def test_it_errs_at_the_chosen_rates() -> None:
    counts = {
        name: verdicts(Manner(wrong=0.2, no_box=0.1, no_end=0.1, empty=0.1)).count(name) / 400
        for name in ("wrong", "no_box", "no_end", "empty")
    }
    expected = {"wrong": 0.8 * 0.2 * 0.9, "no_box": 0.8 * 0.1, "no_end": 0.1, "empty": 0.1}
    assert counts == pytest.approx(expected, abs=0.05)


def test_the_same_request_gets_the_same_answer_and_another_seed_another() -> None:
    manner = Manner(seed=1, wrong=0.5, recheck=0.5)
    replies = [said(user(PROBLEM.prompt("text")), manner, seed) for seed in range(20)]
    assert replies == [said(user(PROBLEM.prompt("text")), manner, seed) for seed in range(20)]
    assert len(set(replies)) > 5


def test_thoughts_vary_in_length() -> None:
    replies = [said(user(PROBLEM.prompt("text")), Manner(recheck=0.5), seed) for seed in range(20)]
    assert len({len(reply) for reply in replies}) == 4


def test_max_tokens_cuts_the_answer_off() -> None:
    reply = answer(user(PROBLEM.prompt("text")), STEADY, 0, 5)
    assert (len(reply.tokens), reply.finish_reason) == (5, "length")


def test_a_question_of_another_world_is_answered_without_a_box() -> None:
    assert "boxed" not in said(user("What is the capital of France?"))


@pytest.fixture
async def url() -> AsyncIterator[str]:
    runner = web.AppRunner(
        Teacher(STEADY, Service(slow_s=0.01, retry_after_s=2, api_key="k")).app(), shutdown_timeout=0.1
    )
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def post(url: str, fault: str = "", key: str = "k", **changes: Any) -> tuple[int, Any, str]:
    body = {"model": MODEL, "messages": user(PROBLEM.prompt("text"))} | changes
    headers = {"Authorization": f"Bearer {key}"} | ({FAULT_HEADER: fault} if fault else {})
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/v1/chat/completions", json=body, headers=headers) as response,
    ):
        return response.status, response.headers, await response.text()


async def test_an_answer_in_one_piece_has_usage(url: str) -> None:
    status, _, text = await post(url)
    reply = json.loads(text)
    assert status == 200
    assert reply["choices"][0]["finish_reason"] == "stop"
    assert "\\boxed{7}" in reply["choices"][0]["message"]["content"]
    assert reply["usage"]["completion_tokens"] == 4 + 3 + 10 + 10 + 3


async def test_health_and_models_need_no_key(url: str) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{url}/health") as response:
            assert response.status == 200
        async with session.get(f"{url}/v1/models") as response:
            assert (await response.json())["data"][0]["id"] == MODEL


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"key": "other"}, 401, "invalid_api_key"),
        ({"model": "qvq"}, 404, "model_not_found"),
        ({"messages": "c=?"}, 400, "invalid_request_error"),
        ({"messages": []}, 400, "invalid_request_error"),
        ({"messages": user("c=?", b"no picture")}, 400, "invalid_request_error"),
        ({"fault": "429"}, 429, "rate_limit_exceeded"),
        ({"fault": "503"}, 503, "service_unavailable"),
    ],
)
async def test_a_refusal_has_its_status_and_code(
    url: str, changes: dict[str, Any], status: int, code: str
) -> None:
    found, headers, text = await post(url, **changes)
    assert (found, json.loads(text)["error"]["code"]) == (status, code)
    assert headers.get("Retry-After") == ("2" if status == 429 else None)


async def test_a_cut_stream_ends_in_the_middle(url: str) -> None:
    with pytest.raises(aiohttp.ClientPayloadError):
        await post(url, fault="cut", stream=True)


async def test_a_slow_stream_pauses_between_pieces(url: str) -> None:
    clock = asyncio.get_running_loop().time
    started = clock()
    status, _, text = await post(url, fault="slow", stream=True)
    assert status == 200
    assert clock() - started >= 0.01 * text.count("data: ")
    assert text.endswith("data: [DONE]\n\n")


def test_a_taken_port_exits_3_without_a_traceback() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        command = [sys.executable, "-m", "spica.miniature.teacher", "--port", str(taken.getsockname()[1])]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 3
    assert "next:    stop the other program" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("options", "exit_code", "said"),
    [
        (("--api-key-env", "SPICA_NO_SUCH_KEY"), 3, "$SPICA_NO_SUCH_KEY is not set"),
        (("--wrong", "1.5"), 2, "a rate lies in 0..1, found 1.5"),
        (("--fault", "500=0.1"), 2, "a fault is one of 429, 503, cut, slow, found 500"),
    ],
)
def test_a_wrong_option_is_named(
    options: tuple[str, ...], exit_code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--port", "1", *options])
    assert ended.value.code == exit_code
    assert said in capsys.readouterr().err

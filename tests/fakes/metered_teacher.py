"""A teacher that costs what a real one costs: slots, steps whose time grows with the batch, and a meter.

    python tests/fakes/metered_teacher.py --slots 64 --success 0.6       prints its port

It speaks the OpenAI protocol. A question holds its right answer (`gold 42`); whether a rollout is right, and
how long it is, follows from question and request seed alone: success per question ~ Beta(2p, 2(1 - p)),
lengths lognormal, one factor per question and one per rollout, wrong answers `gap` times as long. A rollout
whose reader has gone stops costing. GET /meter says what was generated and computed.
"""

import argparse
import asyncio
import hashlib
import json
import re
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from aiohttp import web

GOLD = re.compile(r"gold (\d+)")


@dataclass(frozen=True)
class Manner:
    """How it answers, and how fast."""

    success: float = 0.6
    gap: float = 1.3
    mean_tokens: float = 250.0
    question_sigma: float = 0.5
    rollout_sigma: float = 0.5
    slots: int = 64
    step_s: float = 0.0196
    step_s_per_sequence: float = 0.0001
    """26 ms a step with 64 sequences: a 72B model on 8 H200 (MODEL, bytes read per step)."""
    prefill_s_per_token: float = 0.00001
    interval: int = 1
    """Tokens per event (vLLM's --stream-interval)."""
    counts: bool = True
    """Whether it knows `continuous_usage_stats`; false refuses the option, as strict endpoints do."""


@dataclass(frozen=True)
class Said:
    """A whole answer."""

    num_tokens: int
    is_right: bool
    solution: str


@dataclass
class Sequence:
    """An answer in the making."""

    said: Said
    prompt: str
    num_prompt_tokens: int
    num_done: int = 0
    events: "asyncio.Queue[int]" = field(default_factory=asyncio.Queue)


def answer(manner: Manner, text: str, seed: int) -> Said:
    """What the teacher says to a question under a seed; equal arguments, equal answer."""
    gold = GOLD.search(text)
    assert gold is not None, text
    of_question = _generator("question", text)
    p = (
        of_question.beta(2 * manner.success, 2 * (1 - manner.success))
        if 0 < manner.success < 1
        else manner.success
    )
    scale = of_question.lognormal(0.0, manner.question_sigma)
    of_rollout = _generator("rollout", text, seed)
    is_right = bool(of_rollout.random() < p)
    length = manner.mean_tokens * scale * of_rollout.lognormal(0.0, manner.rollout_sigma)
    length *= 1.0 if is_right else manner.gap
    number = int(gold[1]) + (0 if is_right else 1)
    return Said(max(8, round(length)), is_right, f"\\boxed{{{number}}}")


def _generator(*parts: object) -> np.random.Generator:
    return np.random.default_rng(list(hashlib.sha256(repr(parts).encode()).digest()))


class Engine:
    """One model on one machine: continuous batching, a prefix cache, a meter."""

    def __init__(self, manner: Manner) -> None:
        self._manner = manner
        self._waiting: deque[Sequence] = deque()
        self._running: list[Sequence] = []
        self._cached: set[str] = set()
        self._work = asyncio.Event()
        self.meter = {"generated": 0, "prompt": 0, "computed": 0, "requests": 0, "aborted": 0, "late_s": 0.0}

    def add(self, sequence: Sequence) -> None:
        """Puts a request into the queue."""
        self.meter["requests"] += 1
        self._waiting.append(sequence)
        self._work.set()

    def abort(self, sequence: Sequence) -> None:
        """Frees the slot of a request that nobody reads any more."""
        if sequence in self._running:
            self._running.remove(sequence)
            self.meter["aborted"] += 1
        elif sequence in self._waiting:
            self._waiting.remove(sequence)
            self.meter["aborted"] += 1

    async def run(self) -> None:
        """Steps for ever."""
        clock = asyncio.get_running_loop().time
        due = clock()
        while True:
            if not self._running and not self._waiting:
                self._work.clear()
                await self._work.wait()
                due = clock()
            manner, computed = self._manner, 0
            while self._waiting and len(self._running) < manner.slots:
                computed += self._admit(self._waiting.popleft())
            lasts = manner.step_s + manner.step_s_per_sequence * len(self._running)
            lasts += manner.prefill_s_per_token * computed
            # On a slow machine the teacher is slow: a burst of late steps would leave readers no time.
            late = max(0.0, clock() - due)
            self.meter["late_s"] += max(0.0, late - lasts)
            due += lasts + max(0.0, late - lasts)
            await asyncio.sleep(max(0.0, due - clock()))
            self._step()

    def _admit(self, sequence: Sequence) -> int:
        is_cached = sequence.prompt in self._cached
        self._cached.add(sequence.prompt)
        computed = 0 if is_cached else sequence.num_prompt_tokens
        self.meter["prompt"] += sequence.num_prompt_tokens
        self.meter["computed"] += computed
        self._running.append(sequence)
        return computed

    def _step(self) -> None:
        self.meter["generated"] += len(self._running)
        ended = False
        for sequence in self._running:
            sequence.num_done += 1
            ends = sequence.num_done == sequence.said.num_tokens
            ended |= ends
            if ends or sequence.num_done % self._manner.interval == 0:
                sequence.events.put_nowait(sequence.num_done)
        if ended:
            self._running = [one for one in self._running if one.num_done < one.said.num_tokens]


class Server:
    """The HTTP side."""

    def __init__(self, manner: Manner) -> None:
        self._manner = manner
        self._engine = Engine(manner)

    def app(self) -> web.Application:
        """The application to serve."""
        app = web.Application(client_max_size=1 << 24)
        app.router.add_post("/v1/chat/completions", self._complete)
        app.router.add_get("/meter", self._meter)
        app.cleanup_ctx.append(self._stepping)
        return app

    async def _stepping(self, app: web.Application) -> Any:
        task = asyncio.create_task(self._engine.run())
        yield
        task.cancel()

    async def _meter(self, request: web.Request) -> web.Response:
        return web.json_response({**self._engine.meter, "cpu_s": time.process_time()})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        is_counting = bool(body["stream_options"].get("continuous_usage_stats"))
        if is_counting and not self._manner.counts:
            return web.json_response({"error": {"type": "unknown_parameter"}}, status=400)
        text = body["messages"][-1]["content"]
        sequence = Sequence(answer(self._manner, text, body["seed"]), text, 100 + len(text) // 4)
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        try:
            await stream.prepare(request)
            self._engine.add(sequence)
            await self._stream(stream, sequence, is_counting)
        except ConnectionError:
            pass  # whoever asked has gone
        finally:
            self._engine.abort(sequence)
        return stream

    async def _stream(self, stream: web.StreamResponse, sequence: Sequence, is_counting: bool) -> None:
        said, sent = sequence.said, 0
        while sent < said.num_tokens:
            num_done = await sequence.events.get()
            ends = num_done == said.num_tokens
            choice: dict[str, Any] = {"delta": {"content": _text(said, sent, num_done)}, "index": 0}
            choice["finish_reason"] = "stop" if ends else None
            event: dict[str, Any] = {
                "id": "chatcmpl-0",
                "object": "chat.completion.chunk",
                "choices": [choice],
            }
            if is_counting:
                event["usage"] = _usage(sequence, num_done)
            await stream.write(f"data: {json.dumps(event)}\n\n".encode())
            sent = num_done
        usage = {"choices": [], "usage": _usage(sequence, sent)}
        await stream.write(f"data: {json.dumps(usage)}\n\ndata: [DONE]\n\n".encode())
        await stream.write_eof()


def _text(said: Said, first: int, last: int) -> str:
    """Tokens first..last of an answer: the opening, one word each, and the rest at the end."""
    opening = "<|begin_of_thought|>\n\n" if first == 0 else ""
    ending = "\n\n<|end_of_thought|>\n\n<|begin_of_solution|>\n\n{}\n\n<|end_of_solution|>"
    return opening + " w" * (last - first) + (ending.format(said.solution) if last == said.num_tokens else "")


def _usage(sequence: Sequence, num_done: int) -> dict[str, int]:
    prompt = sequence.num_prompt_tokens
    return {"prompt_tokens": prompt, "completion_tokens": num_done, "total_tokens": prompt + num_done}


async def _serve(manner: Manner) -> None:
    runner = web.AppRunner(
        Server(manner).app(), handler_cancellation=True, access_log=None, shutdown_timeout=0.1
    )
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Serves until it is killed."""
    parser = argparse.ArgumentParser()
    for name, default in vars(Manner()).items():
        kind = (lambda word: word == "true") if isinstance(default, bool) else type(default)
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=default)
    asyncio.run(_serve(Manner(**vars(parser.parse_args()))))


if __name__ == "__main__":
    main()

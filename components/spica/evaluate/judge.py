"""The language model that judges words, on any OpenAI-compatible endpoint; every reply is paid for once."""

import asyncio
import hashlib
import threading
from typing import Any

from spica.artifacts.journal import Journal
from spica.artifacts.types import Row
from spica.chat import ChatRequest, ChatResult, RefusedError, ask_all
from spica.chat.key import read_key
from spica.recipe.schema import Endpoint
from spica.recipe.slices import RequestScale

MAX_TOKENS = 256
"""Of a reply, as in the published script."""


class Reply(Row):
    """One reply as it came; an empty one is not kept."""

    prompt: str
    """SHA-256 of the endpoint's URL, the model, the number of the try and the prompt."""
    reply: str
    judge: str = ""
    """SHA-256 of the endpoint's URL and the model."""


class Judge:
    """A JudgeClient that remembers: each try of a prompt is paid for once, also after a restart.

    A reply counts for the endpoint and the model that gave it. An empty one is not remembered.
    """

    def __init__(self, endpoint: Endpoint, requests: RequestScale, journal: Journal) -> None:
        """Reads what was replied before.

        Raises:
            PrerequisiteError: The variable that holds the key is not set.
        """
        self._endpoint, self._requests, self._journal = endpoint, requests, journal
        self._api_key = read_key(endpoint, ", or set `evaluate.judge: null`: words then stay unjudged")
        self._name = _digest(endpoint.url, endpoint.model)
        self._replies = {
            row.prompt: row.reply for row in journal.rows(Reply) if row.judge == self._name and row.reply
        }
        self._asked = set(self._replies)
        self._lock = threading.Lock()

    @property
    def num_calls(self) -> int:
        """Calls that this evaluation made, those before a restart included that were replied to."""
        return len(self._asked)

    def ask(self, prompt: str, number: int = 0) -> str:
        """The reply; empty when the judge refuses the prompt (400, 413, 422). Safe to call from any thread.

        Raises:
            EndpointError: The judge cannot be reached, refuses the key, or a fault did not pass.
        """
        digest = _digest(self._name, str(number), prompt)
        with self._lock:
            if digest in self._replies:
                return self._replies[digest]
        reply = asyncio.run(self._ask(digest, prompt))
        with self._lock:
            self._asked.add(digest)
            if reply and digest not in self._replies:
                self._replies[digest] = reply
                self._journal.append(Reply(prompt=digest, reply=reply, judge=self._name))
            return self._replies.get(digest, "")

    async def _ask(self, digest: str, prompt: str) -> str:
        replies: list[str] = []

        def on_result(request: ChatRequest, result: ChatResult) -> None:
            replies.append(result.text.strip())

        def on_refused(request: ChatRequest, error: RefusedError) -> None:
            replies.append("")

        await ask_all(
            self._endpoint.url,
            [_request(digest, prompt, self._endpoint.model)],
            concurrency=1,
            request_timeout_s=self._requests.request_timeout_s,
            max_attempts=self._requests.max_attempts,
            api_key=self._api_key,
            on_result=on_result,
            on_refused=on_refused,
        )
        return replies[0]


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()


def _request(digest: str, prompt: str, model: str) -> ChatRequest:
    messages: list[dict[str, Any]] = [{"role": "user", "content": prompt}]
    return ChatRequest(
        id=f"judgement {digest[:12]}",
        messages=messages,
        model=model,
        temperature=0.0,
        top_p=1.0,
        max_tokens=MAX_TOKENS,
        seed=0,
        skip_special_tokens=None,
    )

"""One question to an endpoint and its answer."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Message = dict[str, Any]
CANCELLED = "cancelled"
"""finish_reason of a request that `is_hopeless` ended."""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One request. `id` names it in results and errors; the messages never appear in either."""

    id: str
    messages: list[Message] = field(repr=False)
    """OpenAI format; pictures as data URLs."""
    model: str
    temperature: float
    top_p: float
    max_tokens: int
    seed: int
    repetition_penalty: float | None = None
    """vLLM's parameter; left out of the body when None."""
    skip_special_tokens: bool | None = False
    """vLLM's parameter (protocol A2: markers must survive); None leaves it out where it would be refused."""

    is_hopeless: Callable[[int], bool] | None = field(default=None, repr=False, compare=False)
    """Asked with the tokens received so far; true ends the request. Needs an endpoint that counts while it
    streams (vLLM's `continuous_usage_stats`); with any other each request runs to its end."""

    def body(self, count_tokens: bool = False) -> dict[str, Any]:
        """The JSON body of POST /chat/completions, streaming; token usage at the end or in each event."""
        extra = {
            "repetition_penalty": self.repetition_penalty,
            "skip_special_tokens": self.skip_special_tokens,
        }
        return {
            "model": self.model,
            "messages": self.messages,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_tokens": self.max_tokens,
            "seed": self.seed,
            "stream": True,
            "stream_options": {
                "include_usage": True,
                **({"continuous_usage_stats": True} if count_tokens else {}),
            },
            **{name: value for name, value in extra.items() if value is not None},
        }


@dataclass(frozen=True, slots=True)
class ChatResult:
    """One answer, complete unless it was cancelled."""

    text: str
    finish_reason: str
    """`stop` when the model ended by itself, `length` when it reached max_tokens, CANCELLED."""
    num_tokens: int
    """Completion tokens as the endpoint counted them; pieces received where it counts none. Of a cancelled
    request the last count received: its whole answer would have had at least as many."""
    reasoning: str = ""
    """The thought, where the endpoint sends it apart (DeepSeek, vLLM with a reasoning parser)."""

"""One question to an endpoint and its answer."""

from dataclasses import dataclass, field
from typing import Any

Message = dict[str, Any]


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

    def body(self) -> dict[str, Any]:
        """The JSON body of POST /chat/completions, streaming, with token usage at the end."""
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
            "stream_options": {"include_usage": True},
            **{name: value for name, value in extra.items() if value is not None},
        }


@dataclass(frozen=True, slots=True)
class ChatResult:
    """One complete answer."""

    text: str
    finish_reason: str
    """`stop` when the model ended by itself, `length` when it reached max_tokens."""
    num_tokens: int
    """Completion tokens as the endpoint counted them; pieces received where it counts none."""
    reasoning: str = ""
    """The thought, where the endpoint sends it apart (DeepSeek, vLLM with a reasoning parser)."""

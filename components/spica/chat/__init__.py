"""The one client of OpenAI-compatible endpoints: distill, evaluate and serve ask through it."""

from spica.chat.client import ask_all
from spica.chat.faults import RefusedError
from spica.chat.messages import build_messages, picture_part, prompt_digest
from spica.chat.types import CANCELLED, ChatRequest, ChatResult

__all__ = [
    "CANCELLED",
    "ChatRequest",
    "ChatResult",
    "RefusedError",
    "ask_all",
    "build_messages",
    "picture_part",
    "prompt_digest",
]

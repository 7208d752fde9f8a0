"""Reads the bytes of the APIs: requests, answers, streams, usage, tokens."""

from app.dialects.base import Dialect, ParsedRequest
from app.dialects.chat import Chat
from app.dialects.completions import Completions, Embeddings
from app.dialects.messages import CountTokens, Messages
from app.dialects.responses import InputTokens, Responses

CHAT = Chat()
RESPONSES = Responses()
MESSAGES = Messages()
COUNT_TOKENS = CountTokens()
INPUT_TOKENS = InputTokens()
COMPLETIONS = Completions()
EMBEDDINGS = Embeddings()

__all__ = [
    "CHAT",
    "COMPLETIONS",
    "COUNT_TOKENS",
    "EMBEDDINGS",
    "INPUT_TOKENS",
    "MESSAGES",
    "RESPONSES",
    "Dialect",
    "ParsedRequest",
]

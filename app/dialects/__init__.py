"""Reads the bytes of the APIs: requests, answers, streams, usage, tokens."""

from .base import Dialect, ParsedRequest
from .chat import Chat
from .completions import Completions, Embeddings
from .messages import CountTokens, Messages
from .responses import Compact, InputTokens, Responses

CHAT = Chat()
RESPONSES = Responses()
MESSAGES = Messages()
COUNT_TOKENS = CountTokens()
COMPACT = Compact()
INPUT_TOKENS = InputTokens()
COMPLETIONS = Completions()
EMBEDDINGS = Embeddings()

__all__ = [
    "CHAT",
    "COMPACT",
    "COMPLETIONS",
    "COUNT_TOKENS",
    "EMBEDDINGS",
    "INPUT_TOKENS",
    "MESSAGES",
    "RESPONSES",
    "Dialect",
    "ParsedRequest",
]

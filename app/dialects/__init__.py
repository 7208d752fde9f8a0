"""The APIs that clients speak to models in."""

from app.dialects.base import Dialect, Reading
from app.dialects.chat import Chat
from app.dialects.messages import Messages
from app.dialects.plain import Completions, Embeddings
from app.dialects.responses import Responses

CHAT = Chat()
RESPONSES = Responses()
MESSAGES = Messages()
COMPLETIONS = Completions()
EMBEDDINGS = Embeddings()

__all__ = ["CHAT", "COMPLETIONS", "EMBEDDINGS", "MESSAGES", "RESPONSES", "Dialect", "Reading"]

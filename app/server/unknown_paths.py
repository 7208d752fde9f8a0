"""Messages for requests to paths that the router does not serve."""

from __future__ import annotations

import re

from starlette.types import Scope

from ..dialects import CHAT, COMPLETIONS, COUNT_TOKENS, EMBEDDINGS, INPUT_TOKENS, MESSAGES, RESPONSES
from ..http.base_url import base_url

#: Paths below the base URL, longest first: `/chat/completions` ends with `/completions`.
_BELOW = sorted(
    [
        *(each.path for each in (CHAT, RESPONSES, INPUT_TOKENS, MESSAGES, COUNT_TOKENS, COMPLETIONS, EMBEDDINGS)),
        "/models",
    ],
    key=len,
    reverse=True,
)


def message_for(scope: Scope, detail: str) -> str:
    """Return the message of a 404 or 405; if the client's base URL is wrong, it has the right one."""
    refusal = f"{scope['method']} {scope['path']} is not served here"
    below = _misplaced(scope["path"])
    if below is None:
        return f"{refusal}: {detail}."
    right = base_url(scope)
    return f"{refusal}: the base URL of this router is {right}, and this request belongs to {right}{below}."


def _misplaced(path: str) -> str | None:
    """Return the path below the base URL that a client with a wrong base URL meant, or None if it meant another."""
    # A path below /v1 has the right base URL; one that is not the router's own is forwarded to a provider.
    if path.startswith("/v1/"):
        return None
    path = re.sub("/+", "/", path).rstrip("/").lower()
    return next((below for below in _BELOW if path.endswith(below)), None)

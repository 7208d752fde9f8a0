"""What providers store: finds the ids that a request refers to, and refuses those of other tenants.

All tenants share the router's account at a provider, which would continue or return any of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..entities import Caller
from ..errors import BadRequest, NotFound, RouterError
from ..routing.affinity import ResponseAffinity

#: Members of a request that refer to something stored; a body that has one of them twice is refused.
REFERRING = ("previous_response_id", "conversation")
_PATH = re.compile(r"/(responses|conversations)/([^/]+)")


def conversation_in(body: Mapping[str, Any]) -> str | None:
    """Return the id of the conversation that a request of the Responses API names."""
    named = body.get("conversation")
    found = named.get("id") if isinstance(named, dict) else named
    return found if isinstance(found, str) and found else None


async def holder_of(affinity: ResponseAffinity, caller: Caller, body: Mapping[str, Any]) -> int | None:
    """Return the `model_id` of the model whose provider stores what a request continues; None: unknown or nothing.

    Raises `RouterError` if it is another tenant's, and `DatabaseUnavailable` if that cannot be checked.
    """
    previous, conversation = body.get("previous_response_id"), conversation_in(body)
    found: int | None = None
    if conversation is not None:
        found = await affinity.find(caller.tenant_id, conversation)
        if found is None and await affinity.is_foreign(caller.tenant_id, conversation.strip()):
            raise _unknown("Conversation", conversation)
    if isinstance(previous, str) and previous:
        response = await affinity.find(caller.tenant_id, previous)
        if response is None and await affinity.is_foreign(caller.tenant_id, previous.strip()):
            raise unknown_response(previous)
        found = found if response is None else response
    return found


async def holder_of_path(affinity: ResponseAffinity, caller: Caller, path: str) -> int | None:
    """Return the `model_id` for a path that names a response or conversation. Raises as `holder_of` does.

    `path`: as `paths.forwarded` returns it, which lets one spelling of each pass.
    """
    match = _PATH.match(path)
    if match is None:
        return None
    kind, name = match.groups()
    found = await affinity.find(caller.tenant_id, name)
    if found is None and await affinity.is_foreign(caller.tenant_id, name):
        raise _unknown("Response" if kind == "responses" else "Conversation", name)
    return found


def unknown_response(response_id: str) -> BadRequest:
    """Return OpenAI's error for a response that does not exist, so that others' answers stay hidden."""
    return BadRequest(
        f"Previous response with id '{response_id[:200]}' not found.",
        param="previous_response_id",
        code="previous_response_not_found",
    )


def _unknown(kind: str, name: str) -> RouterError:
    error = NotFound(f"{kind} with id '{name[:200]}' not found.")
    # OpenAI's error has no code.
    error.code = None
    return error

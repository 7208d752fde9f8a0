"""The error for a stored answer that is another tenant's: all tenants share the router's account at a provider."""

from __future__ import annotations

from ..errors import BadRequest


def unknown_response(response_id: str) -> BadRequest:
    """Return OpenAI's error for a response that does not exist, so that others' answers stay hidden."""
    return BadRequest(
        f"Previous response with id {response_id[:200]!r} not found.",
        param="previous_response_id",
        code="previous_response_not_found",
    )

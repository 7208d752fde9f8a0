"""The scopes of API keys: which parts of the API of a tenant a key may use."""

from __future__ import annotations

from typing import Literal, get_args

from .entities import Caller
from .errors import Forbidden

Scope = Literal["ask", "teach", "manage"]
#: What an operation of the API needs: a scope, or `any` valid key.
Needed = Scope | Literal["any"]

#: The scopes in their order, with what they allow.
SCOPES: dict[Scope, str] = {
    "ask": "ask models: every path of OpenAI's and Anthropic's APIs, comparisons, and single decisions",
    "teach": "teach the memory, and read it: examples, memories, status and explanations",
    "manage": (
        "manage memory and account: delete memories, backtests, calibration, policies and undo, the list of decisions, "
        "savings and usage"
    ),
}
assert tuple(SCOPES) == get_args(Scope)


def require_scope(caller: Caller, needed: Needed) -> None:
    """Raise `Forbidden` unless the caller's key has the scope."""
    if needed != "any" and needed not in caller.scopes:
        has = ", ".join(scope for scope in SCOPES if scope in caller.scopes)
        raise Forbidden(
            f"This API key lacks the scope `{needed}`, which this path needs; it has: {has}.", code="scope_missing"
        )

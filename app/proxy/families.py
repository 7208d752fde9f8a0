"""What a request that is passed through may cause: costs, more answers than one, access past the router."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from ..errors import NotFound

#: Methods that order nothing.
READING = ("GET", "HEAD", "DELETE", "OPTIONS")
#: Steps of paths whose answer lets a client ask models at the provider itself, with the router's account.
_SECRETS = frozenset(("realtime", "chatkit", "client_secrets", "ephemeral_keys"))
#: Steps of paths that read or change the router's account at the provider.
_ACCOUNT = frozenset(
    ("organization", "organizations", "dashboard", "admin_api_keys", "api_keys", "keys", "key", "auth", "credits")
)
#: Families whose jobs ask or train models for as long as they run.
_TRAINING = frozenset(("fine_tuning", "fine-tuning", "fine_tunes", "fine-tunes"))


class Effect(Enum):
    """What a request may cause at the provider."""

    #: Reads, deletes or cancels: budgets do not matter, so that what was paid for can still be fetched.
    FREE = "free"
    #: May cost money, at a price that the router does not know: every budget must have something left.
    PAID = "paid"
    #: Orders more than one answer at once, which limits cannot count.
    BULK = "bulk"


def require_open(method: str, path: str, steps: Sequence[str]) -> None:
    """Raise `NotFound` for a path that no tenant may use. `steps`: those below /v1 as a lenient server reads them."""
    if _SECRETS.intersection(steps):
        why = "its sessions ask models at the provider itself, past the limits and the ledger"
    elif _ACCOUNT.intersection(steps) and steps[0] not in ("files", "models", "vector_stores"):
        why = "it belongs to the provider's account, which all tenants share"
    else:
        return
    raise NotFound(f"{method} {path} is not served here: {why}.", code="unknown_url")


def effect_of(method: str, steps: Sequence[str], *, known: bool) -> Effect:
    """Return what a request may cause. `known`: the path is one of a documented API, in its only spelling."""
    reads = method in READING or (method == "POST" and len(steps) > 1 and steps[-1] == "cancel")
    if known and reads:
        return Effect.FREE
    if method not in READING and steps and steps[-1] != "cancel":
        runs = "evals" in steps and steps[-1] == "runs"
        if "batches" in (steps[-1], *steps[-2:-1]) or runs or _TRAINING.intersection(steps):
            return Effect.BULK
    return Effect.PAID

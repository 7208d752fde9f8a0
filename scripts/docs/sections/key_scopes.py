"""The scopes of API keys."""

from __future__ import annotations

from app.key_scopes import SCOPES
from scripts.docs.tables import code, table


def markdown() -> str:
    """Return a row for each scope."""
    return table(("scope", "allows a key to"), [(code(scope), allows) for scope, allows in SCOPES.items()])

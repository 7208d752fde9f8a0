"""API keys: create and rotate them, and parse when they expire."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ..api_keys import hash_of, hint_of, make_key
from ..errors import BadRequest, NotFound
from ..key_scopes import SCOPES
from ..store import keys as stored_keys
from ..store.database import Database
from .timespans import moment


async def new_key(
    db: Database,
    tenant_id: int,
    name: str = "",
    expires_at: datetime | None = None,
    models: Sequence[str] | None = None,
    scopes: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Create a key, which is in the returned row only; `models`: the models it may use, None: all.

    `scopes`: what it may do, None: everything, or with `models` all but `manage`.
    """
    key = make_key()
    key_id = await stored_keys.create_key(
        db, tenant_id, hash_of(key), hint_of(key), name, expires_at, models or None, scopes or None
    )
    made: dict[str, Any] = {"key_id": key_id, "api_key": key, "name": name, "expires_at": expires_at}
    if models:
        made["models"] = list(models)
    if scopes:
        made["scopes"] = [scope for scope in SCOPES if scope in scopes]
    return made


async def rotate(db: Database, tenant_id: int, key_id: int, until: datetime | None = None) -> dict[str, Any]:
    """Replace a valid key by a new one; the old one works until `until`, None: no longer. Raises `NotFound`."""
    key = make_key()
    new = await stored_keys.rotate_key(db, tenant_id, key_id, hash_of(key), hint_of(key), until)
    if new is None:
        raise NotFound(f"The tenant has no valid key {key_id}.", param="key_id")
    return {"key_id": new, "api_key": key, "replaces": key_id, "replaced_until": until}


def until(text: str, now: datetime, param: str) -> datetime:
    """Parse a future time: `12h`, `30d`, `8w` from `now`, or an ISO 8601 date or time, UTC if it has no zone.

    Raises `BadRequest` naming `param`.
    """
    try:
        when = moment(text, now)
    except (ValueError, OverflowError):
        raise BadRequest(
            f"{text!r} is neither a span like 12h, 30d or 8w nor a date like 2026-12-31", param=param
        ) from None
    if when <= now:
        raise BadRequest(f"{text!r} is in the past: give a later time", param=param)
    return when

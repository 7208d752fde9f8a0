"""Providers: add, change and remove them; the APIs they support, and the header of their key."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from ..errors import BadRequest, NotFound
from ..store import providers as stored_providers
from ..store.database import Database

#: Values of `providers.speaks` and of `providers.key_header`.
Api = Literal["chat", "responses", "messages", "completions", "embeddings"]
KeyHeader = Literal["authorization", "x-api-key", "api-key"]
APIS: tuple[str, ...] = get_args(Api)

#: Hosts that differ from OpenAI: the APIs that a new provider there supports, and the header of its key.
_HOSTS: Mapping[str, tuple[tuple[str, ...], str]] = {"api.anthropic.com": (("messages", "chat"), "x-api-key")}


#: Beginnings of variables that hold secrets of the host, of the database, or of pgrouter itself.
NOT_OURS = ("AWS", "DATABASE", "GOOGLE_APPLICATION", "KUBERNETES", "LD_", "PG", "ROUTER", "SSH")
#: Ends of variables that hold keys for signing or encrypting, which no provider gets.
_OTHER_KEYS = ("ACCESS_KEY", "ENCRYPTION_KEY", "PRIVATE_KEY", "SECRET_KEY", "SIGNING_KEY")
_KEY_NAME = re.compile(r"[A-Z][A-Z0-9_]*(KEY|TOKEN)")


async def put(
    db: Database,
    name: str,
    base_url: str,
    key_variable: str | None = None,
    *,
    speaks: Sequence[str] | None = None,
    key_header: str | None = None,
) -> None:
    """Add a provider, or change one; None keeps a value, '' as `key_variable` sends no key.

    A new provider supports the APIs that its host is known for, else those of OpenAI.
    """
    known = await find(db, name)
    if known is None:
        usual = _HOSTS.get(_host(base_url))
        if usual is not None:
            speaks, key_header = speaks or usual[0], key_header or usual[1]
    elif key_variable is None:
        key_variable = known["key_variable"]
    variable = (key_variable or "").strip() or None
    if variable is not None and not is_key_variable(variable):
        raise BadRequest(
            f"{variable!r} is no name of an environment variable for a provider's key: such names end in KEY or TOKEN, "
            f"as in {name.upper().replace('-', '_')}_API_KEY, and begin with none of {', '.join(NOT_OURS)}.",
            param="key_variable",
        )
    await stored_providers.put_provider(db, name, base_url, variable, speaks=speaks, key_header=key_header)


async def remove(db: Database, name: str) -> None:
    """Delete a provider that serves no model. Raises `NotFound`; `RowConflict` if it serves one."""
    if not await stored_providers.delete_provider(db, name):
        raise NotFound(
            f"There is no provider {name!r}; `pgrouter provider list` lists the providers.", param="provider"
        )


async def find(db: Database, name: str) -> Mapping[str, Any] | None:
    """The provider of this name as a row of `router.list_providers`, or None."""
    return next((row for row in await stored_providers.list_providers(db) if row["name"] == name), None)


def is_key_variable(name: str) -> bool:
    """Whether an environment variable of this name may be sent to a provider as its key.

    A provider's address is anybody's server: PATH, AWS_* or DATABASE_URL must never be sent there.
    """
    upper = name.upper()
    return _KEY_NAME.fullmatch(upper) is not None and not upper.startswith(NOT_OURS) and not upper.endswith(_OTHER_KEYS)


def _host(base_url: str) -> str:
    try:
        return urlsplit(base_url).hostname or ""
    except ValueError:
        return ""

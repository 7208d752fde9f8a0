"""Fills in what models can do from what their providers say, and from genai-prices."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from app.entities import CAPABILITIES
from app.errors import NotFound
from app.operations.model_listing import abilities_in
from app.store import models as registry
from app.store import providers
from app.store.database import Database
from app.upstream.client import credentials

#: What a provider's list may take, seconds, and be, bytes.
PATIENCE = 20.0
LARGEST = 64 * 1024 * 1024

#: Anthropic wants its version said, and pages what it lists; others ignore both.
_HEADERS = {"accept": "application/json", "anthropic-version": "2023-06-01", "user-agent": "pgrouter"}
_ANTHROPIC = {"limit": "1000"}

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Refreshed:
    """Models of which something changed, with all that is known of them now; and which provider did not answer why."""

    models: tuple[Row, ...]
    notes: tuple[str, ...]


async def refresh(
    db: Database, names: Sequence[str] = (), *, provider: str | None = None, force: bool = False
) -> Refreshed:
    """Fill in what is unknown of the models called `names`, or of all, or of all that `provider` serves.

    With `force` what is known is overwritten by what is told. A provider that cannot be asked is a note, and what
    genai-prices knows is filled in all the same. Raises `NotFound` for a model or provider that is not there.
    """
    inventory = {row["name"]: row for row in await registry.inventory(db)}
    upstreams = {row["name"]: row for row in await providers.upstreams(db)}
    for name in names:
        if name not in inventory:
            raise NotFound(f"There is no model {name!r}; `pgrouter model list` shows them.", param="models")
    if provider is not None and provider not in upstreams:
        raise NotFound(f"There is no provider {provider!r}; `pgrouter provider list` shows them.", param="provider")
    wanted = [
        row
        for row in inventory.values()
        if (not names or row["name"] in names) and (provider is None or row["provider"] == provider)
    ]
    asked = sorted({row["provider"] for row in wanted})
    notes: list[str] = []
    told: dict[str, dict[str, dict[str, Any]]] = {}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE)) as http:
        answers = await asyncio.gather(*(_ask(http, upstreams[name]) for name in asked))
    for name, answer in zip(asked, answers, strict=True):
        if isinstance(answer, str):
            notes.append(f"{name} cannot be asked what its models can do: {answer}.")
        else:
            told[name] = answer
    changed = []
    for row in wanted:
        known = {
            **_priced(row, upstreams[row["provider"]]),
            **told.get(row["provider"], {}).get(row["upstream_name"], {}),
        }
        if known and await registry.fill_model(db, row["name"], known, force=force):
            changed.append(row["name"])
    now = {row["name"]: row for row in await registry.inventory(db)} if changed else {}
    shown = (now[name] for name in changed if name in now)
    return Refreshed(
        tuple({column: row[column] for column in ("name", "provider", *CAPABILITIES)} for row in shown), tuple(notes)
    )


async def _ask(http: aiohttp.ClientSession, upstream: Row) -> dict[str, dict[str, Any]] | str:
    """What a provider says of its models, or why it does not."""
    headers = {**_HEADERS, **dict(credentials(upstream["key_variable"], upstream["key_header"], os.environ))}
    query = _ANTHROPIC if "messages" in upstream["speaks"] else None
    try:
        async with http.get(f"{upstream['base_url']}/models", headers=headers, params=query) as reply:
            raw = await reply.content.read(LARGEST)
            if reply.status != 200:
                return f"it answers {reply.status}"
        return abilities_in(orjson.loads(raw))
    except TimeoutError:
        return f"it took more than {PATIENCE:g} s"
    except aiohttp.ClientError as error:
        return f"{type(error).__name__}: {error}"
    except ValueError as error:
        return str(error)


def _priced(row: Row, upstream: Row) -> dict[str, Any]:
    """What genai-prices knows: a price for audio that is heard says that the model hears."""
    # Importing the prices takes longer than most commands do.
    from app.operations import list_prices

    known = list_prices.abilities(row["upstream_name"], row["provider"], upstream["base_url"])
    return {ability: value for ability, value in known.items() if value is not None}

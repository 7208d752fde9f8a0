"""Fills in the capabilities of models from their providers' model lists and from genai-prices."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from ..entities import CAPABILITIES
from ..errors import NotFound
from ..store import models as stored_models
from ..store import providers as stored_providers
from ..store.database import Database
from ..upstream.client import credentials
from .model_listing import capabilities_in

#: Timeout for a provider's model list, seconds, and its greatest length, bytes.
TIMEOUT = 20.0
LARGEST = 64 * 1024 * 1024

#: Anthropic requires its version and returns pages; other providers ignore both.
_HEADERS = {"accept": "application/json", "anthropic-version": "2023-06-01", "user-agent": "pgrouter"}
_ANTHROPIC = {"limit": "1000"}

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The models that changed, with all their capabilities, and a note for each provider that did not answer."""

    models: tuple[Row, ...]
    notes: tuple[str, ...]


async def refresh(
    db: Database, names: Sequence[str] = (), *, provider: str | None = None, force: bool = False
) -> Refreshed:
    """Fill in unknown capabilities of the models called `names`, else of all models, or of those of `provider`.

    With `force` known values are overwritten. If a provider cannot be reached, its models get the capabilities that
    genai-prices lists, and a note gives the reason. Raises `NotFound` for a model or provider that does not exist.
    """
    models = {row["name"]: row for row in await stored_models.list_models(db)}
    providers = {row["name"]: row for row in await stored_providers.list_providers(db)}
    for name in names:
        if name not in models:
            raise NotFound(f"There is no model {name!r}; `pgrouter model list` lists the models.", param="models")
    if provider is not None and provider not in providers:
        message = f"There is no provider {provider!r}; `pgrouter provider list` lists the providers."
        raise NotFound(message, param="provider")
    wanted = [
        row
        for row in models.values()
        if (not names or row["name"] in names) and (provider is None or row["provider"] == provider)
    ]
    asked = sorted({row["provider"] for row in wanted})
    notes: list[str] = []
    listed: dict[str, dict[str, dict[str, Any]]] = {}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT)) as http:
        answers = await asyncio.gather(*(_listed(http, providers[name]) for name in asked))
    for name, answer in zip(asked, answers, strict=True):
        if isinstance(answer, str):
            notes.append(f"{name}: its list of models cannot be read: {answer}.")
        else:
            listed[name] = answer
    changed = []
    for row in wanted:
        known = {
            **_priced(row, providers[row["provider"]]),
            **listed.get(row["provider"], {}).get(row["upstream_name"], {}),
        }
        if known and await stored_models.fill_model(db, row["name"], known, force=force):
            changed.append(row["name"])
    now = {row["name"]: row for row in await stored_models.list_models(db)} if changed else {}
    columns = ("name", "provider", *CAPABILITIES)
    return Refreshed(
        tuple({column: now[name][column] for column in columns} for name in changed if name in now), tuple(notes)
    )


async def _listed(http: aiohttp.ClientSession, upstream: Row) -> dict[str, dict[str, Any]] | str:
    """The capabilities that a provider lists, by model; or the reason why its list cannot be read."""
    headers = {**_HEADERS, **dict(credentials(upstream["key_variable"], upstream["key_header"], os.environ))}
    query = _ANTHROPIC if "messages" in upstream["speaks"] else None
    try:
        async with http.get(f"{upstream['base_url']}/models", headers=headers, params=query) as reply:
            raw = await reply.content.read(LARGEST)
            if reply.status != 200:
                return f"GET /models returned {reply.status}"
        return capabilities_in(orjson.loads(raw))
    except TimeoutError:
        return f"no answer within {TIMEOUT:g} s"
    except aiohttp.ClientError as error:
        return f"{type(error).__name__}: {error}"
    except ValueError as error:
        return str(error)


def _priced(row: Row, upstream: Row) -> dict[str, Any]:
    """Return the capabilities listed by genai-prices; a price for audio input means that the model takes audio."""
    # Importing the prices takes longer than most commands run.
    from . import list_prices

    known = list_prices.capabilities(row["upstream_name"], row["provider"], upstream["base_url"])
    return {capability: value for capability, value in known.items() if value is not None}

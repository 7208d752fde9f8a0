"""Who is calling and what there is to call: remembered in the process, forgotten at the database's word."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from app.api_keys import hash_of, is_key
from app.caching import LRU, SingleFlight
from app.catalog import Catalog
from app.entities import Caller
from app.errors import DatabaseUnavailable, Unauthorized
from app.store import keys, models
from app.store import providers as providers_store
from app.store.database import Database

CHANNEL = "router_changed"
#: With the database away, a key that was valid this many seconds ago still is.
GRACE = 3600.0
#: With notifications working nothing goes stale; this bounds the harm if one is ever missed.
FRESH = 300.0
#: Callers remembered, and keys that were refused.
REMEMBERED = 100_000
UNKNOWN = 10_000
RECONNECT = 1.0
#: Without notifications what was loaded serves for so long, seconds: with no primary there are none, and few changes.
UNWATCHED = 1.0

_WRONG_KEY = "Incorrect API key provided: it is unknown, revoked or expired."

log = logging.getLogger("pgrouter.directory")


@dataclass(slots=True)
class _Entry:
    caller: Caller
    loaded_at: float
    generation: int


class Directory:
    """Callers by key and the catalogue of models, served from memory while the database's notifications arrive.

    `watch` runs beside the server. A change in the database makes everything stale at once; what is stale is loaded
    anew at its next use, or used as it was for up to `GRACE` seconds while the database is away.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._callers = LRU[bytes, _Entry](REMEMBERED)
        # Apart from the callers, whom a flood of made-up keys must not push out.
        self._unknown = LRU[bytes, int](UNKNOWN)
        self._loading = SingleFlight[bytes, _Entry]()
        self._catalogue: Catalog | None = None
        self._catalogue_loaded = (0.0, -1)
        self._generation = 0
        self._watching = False

    async def caller(self, key: str) -> Caller:
        """Whom `key` belongs to. Raises `Unauthorized`, or `DatabaseUnavailable` for a key not seen within the hour."""
        if not is_key(key):
            raise Unauthorized(_WRONG_KEY)
        key_hash = hash_of(key)
        entry = self._callers.get(key_hash, None)
        if entry is None or not self._is_fresh(entry.loaded_at, entry.generation):
            entry = await self._load(key_hash, entry)
        caller = entry.caller
        if caller.expires_at is not None and caller.expires_at <= datetime.now(UTC):
            raise Unauthorized(_WRONG_KEY)
        return caller

    async def catalog(self) -> Catalog:
        """The models there are. Raises `DatabaseUnavailable` only if they were never read."""
        loaded_at, generation = self._catalogue_loaded
        if self._catalogue is not None and self._is_fresh(loaded_at, generation):
            return self._catalogue
        before = self._generation
        try:
            providers = await providers_store.providers(self._db)
            self._catalogue = Catalog(await models.models(self._db, providers), providers)
            self._catalogue_loaded = (time.monotonic(), before)
        except DatabaseUnavailable:
            if self._catalogue is None:
                raise
        return self._catalogue

    def invalidate(self) -> None:
        """Everything remembered is stale from now on."""
        self._generation += 1

    async def watch(self) -> None:
        """Keep listening for changes until cancelled; a connection that is lost is made again."""
        while True:
            try:
                async with self._db.listening(CHANNEL, self.invalidate) as lost:
                    # What changed while nobody listened is unknown.
                    self.invalidate()
                    self._watching = True
                    await lost.wait()
            except DatabaseUnavailable:
                pass
            if self._watching:
                log.warning("lost the database; serving from what is remembered")
            self._watching = False
            await asyncio.sleep(RECONNECT)

    def _is_fresh(self, loaded_at: float, generation: int) -> bool:
        return generation == self._generation and time.monotonic() - loaded_at < (
            FRESH if self._watching else UNWATCHED
        )

    async def _load(self, key_hash: bytes, known: _Entry | None) -> _Entry:
        if self._watching and self._unknown.get(key_hash, None) == self._generation:
            raise Unauthorized(_WRONG_KEY)
        try:
            # After a change, the next request of every key comes here; the requests of one key share one query.
            return await self._loading.run(key_hash, lambda: self._ask(key_hash))
        except DatabaseUnavailable:
            if known is not None and time.monotonic() - known.loaded_at < GRACE:
                return known
            raise

    async def _ask(self, key_hash: bytes) -> _Entry:
        before = self._generation
        caller = await keys.authenticate(self._db, key_hash)
        if caller is None:
            self._callers.discard(key_hash)
            self._unknown.put(key_hash, before)
            raise Unauthorized(_WRONG_KEY)
        entry = _Entry(caller, time.monotonic(), before)
        self._callers.put(key_hash, entry)
        return entry

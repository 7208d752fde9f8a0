"""The authentication cache: callers by API key, and the catalog; invalidated by notifications of the database."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from ..api_keys import hash_of, is_key
from ..caching import LRU, SingleFlight
from ..catalog import Catalog
from ..entities import Caller
from ..errors import DatabaseUnavailable, Unauthorized
from ..store import keys, models
from ..store import providers as stored_providers
from ..store.database import Database

CHANNEL = "router_changed"
#: Seconds that a valid key stays valid while the database cannot be reached.
GRACE = 3600.0
#: Seconds after which entries are reloaded even without a notification, in case one is lost.
MAX_AGE = 300.0
#: Cached callers.
CALLERS = 100_000
#: Cached hashes of invalid keys.
INVALID_KEYS = 10_000
#: Seconds between two attempts to listen for notifications.
RECONNECT = 1.0
#: The same while no notifications arrive; without a primary there are none, but changes are rare then.
MAX_AGE_UNWATCHED = 1.0

_INVALID_KEY = "Incorrect API key provided: it is unknown, revoked or expired."

log = logging.getLogger("pgrouter.directory")


@dataclass(slots=True)
class _Entry:
    caller: Caller
    loaded_at: float
    generation: int


class Directory:
    """A cache of callers and of the catalog.

    `watch` runs as a task of the server. A notification of the database makes all entries stale; a stale entry is
    reloaded at its next use. While the database cannot be reached, a caller's stale entry is used for up to `GRACE`
    seconds.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._callers = LRU[bytes, _Entry](CALLERS)
        # A cache of its own, so that many invalid keys do not evict the callers.
        self._invalid = LRU[bytes, int](INVALID_KEYS)
        self._loading = SingleFlight[bytes, _Entry]()
        self._catalog: Catalog | None = None
        self._catalog_loaded = (0.0, -1)
        self._generation = 0
        self._watching = False

    async def caller(self, key: str) -> Caller:
        """Return the caller of `key`. Raises `Unauthorized`, or `DatabaseUnavailable` for a key that is not cached."""
        if not is_key(key):
            raise Unauthorized(_INVALID_KEY)
        key_hash = hash_of(key)
        entry = self._callers.get(key_hash, None)
        if entry is None or not self._is_fresh(entry.loaded_at, entry.generation):
            entry = await self._load(key_hash, entry)
        caller = entry.caller
        if caller.expires_at is not None and caller.expires_at <= datetime.now(UTC):
            raise Unauthorized(_INVALID_KEY)
        return caller

    async def catalog(self) -> Catalog:
        """Return the catalog. Raises `DatabaseUnavailable` only if it has never been loaded."""
        loaded_at, generation = self._catalog_loaded
        if self._catalog is not None and self._is_fresh(loaded_at, generation):
            return self._catalog
        before = self._generation
        try:
            providers = await stored_providers.providers(self._db)
            self._catalog = Catalog(await models.labelled_models(self._db, providers), providers)
            self._catalog_loaded = (time.monotonic(), before)
        except DatabaseUnavailable:
            if self._catalog is None:
                raise
        return self._catalog

    @property
    def known_catalog(self) -> Catalog | None:
        """The catalog as it was loaded last, however old; None: it has not been loaded."""
        return self._catalog

    def invalidate(self) -> None:
        """Mark all entries as stale."""
        self._generation += 1

    async def watch(self) -> None:
        """Listen for changes until cancelled, and reconnect if the connection is lost."""
        while True:
            try:
                async with self._db.listen(CHANNEL, self.invalidate) as lost:
                    # Changes before the connection was made are unknown.
                    self.invalidate()
                    self._watching = True
                    await lost.wait()
            except DatabaseUnavailable:
                pass
            if self._watching:
                log.warning("lost the connection to the database; serving from the cache")
            self._watching = False
            await asyncio.sleep(RECONNECT)

    def _is_fresh(self, loaded_at: float, generation: int) -> bool:
        return generation == self._generation and time.monotonic() - loaded_at < (
            MAX_AGE if self._watching else MAX_AGE_UNWATCHED
        )

    async def _load(self, key_hash: bytes, known: _Entry | None) -> _Entry:
        if self._watching and self._invalid.get(key_hash, None) == self._generation:
            raise Unauthorized(_INVALID_KEY)
        try:
            # After a change, the next request of every key comes here; the requests of one key share one query.
            return await self._loading.run(key_hash, lambda: self._authenticate(key_hash))
        except DatabaseUnavailable:
            if known is not None and time.monotonic() - known.loaded_at < GRACE:
                return known
            raise

    async def _authenticate(self, key_hash: bytes) -> _Entry:
        before = self._generation
        caller = await keys.authenticate(self._db, key_hash)
        if caller is None:
            self._callers.discard(key_hash)
            self._invalid.put(key_hash, before)
            raise Unauthorized(_INVALID_KEY)
        entry = _Entry(caller, time.monotonic(), before)
        self._callers.put(key_hash, entry)
        return entry

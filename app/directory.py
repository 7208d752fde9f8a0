"""Who is calling and what there is to call: remembered in the process, forgotten at the database's word."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime

from app.catalogue import Catalogue
from app.errors import MemoryUnavailable, Unauthorized
from app.keys import hash_of
from app.store import tenancy
from app.store.database import Database
from app.store.tenancy import Caller

CHANNEL = "router_changed"
#: With the database away, a key that was valid this many seconds ago still is.
GRACE = 3600.0
#: With notifications working nothing goes stale; this bounds the harm if one is ever missed.
FRESH = 300.0
REMEMBERED = 100_000
RECONNECT = 1.0

log = logging.getLogger("pgrouter.directory")


@dataclass(slots=True)
class _Entry:
    caller: Caller | None
    loaded_at: float
    generation: int


class Directory:
    """Callers by key and the catalogue of models, served from memory while the database's notifications arrive.

    `watch` runs beside the server. A change in the database makes everything stale at once; what is stale is loaded
    anew at its next use, or used as it was for up to `GRACE` seconds while the database is away.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._callers: OrderedDict[bytes, _Entry] = OrderedDict()
        self._catalogue: Catalogue | None = None
        self._catalogue_loaded = (0.0, -1)
        self._generation = 0
        self._watching = False

    async def caller(self, key: str) -> Caller:
        """Whom `key` belongs to. Raises `Unauthorized`, or `MemoryUnavailable` for a key not seen within the hour."""
        key_hash = hash_of(key)
        entry = self._callers.get(key_hash)
        if entry is None or not self._is_fresh(entry.loaded_at, entry.generation):
            entry = await self._load(key_hash, entry)
        caller = entry.caller
        if caller is None or (caller.expires_at is not None and caller.expires_at <= datetime.now(UTC)):
            raise Unauthorized("Incorrect API key provided: it is unknown, revoked or expired.")
        return caller

    async def catalogue(self) -> Catalogue:
        """The models there are. Raises `MemoryUnavailable` only if they were never read."""
        loaded_at, generation = self._catalogue_loaded
        if self._catalogue is not None and self._is_fresh(loaded_at, generation):
            return self._catalogue
        before = self._generation
        try:
            self._catalogue = Catalogue(await tenancy.models(self._db))
            self._catalogue_loaded = (time.monotonic(), before)
        except MemoryUnavailable:
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
            except MemoryUnavailable:
                pass
            if self._watching:
                log.warning("lost the database; serving from what is remembered")
            self._watching = False
            await asyncio.sleep(RECONNECT)

    def _is_fresh(self, loaded_at: float, generation: int) -> bool:
        return self._watching and generation == self._generation and time.monotonic() - loaded_at < FRESH

    async def _load(self, key_hash: bytes, known: _Entry | None) -> _Entry:
        before = self._generation
        try:
            caller = await tenancy.authenticate(self._db, key_hash)
        except MemoryUnavailable:
            if known is not None and time.monotonic() - known.loaded_at < GRACE:
                return known
            raise
        entry = _Entry(caller, time.monotonic(), before)
        self._callers[key_hash] = entry
        self._callers.move_to_end(key_hash)
        if len(self._callers) > REMEMBERED:
            self._callers.popitem(last=False)
        return entry

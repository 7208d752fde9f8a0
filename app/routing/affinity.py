"""Finds the owner and the model of a stored response or conversation, which no other tenant may continue."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from hashlib import blake2b

from ..caching import LRU
from ..errors import DatabaseUnavailable
from ..store import ledger
from ..store.database import Database

#: Responses cached in the process, about 150 bytes each.
CAPACITY = 50_000
#: Seconds that an answer waits until Postgres has stored whose its conversation is.
WAIT = 0.2


def key_of(response_id: str) -> bytes:
    """Return a hash of 16 bytes for the id of a response or conversation."""
    return blake2b(response_id.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class ResponseAffinity:
    """A cache of the owners and models of responses and conversations, with the database behind it."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._known = LRU[tuple[int, bytes], int](CAPACITY)
        # The tenant of each, to refuse it to others: their rows cannot be read.
        self._tenants = LRU[bytes, int](CAPACITY)
        # The event loop holds no reference to a task.
        self._writes: set[asyncio.Task[None]] = set()

    def keep(self, tenant_id: int, key: bytes, model_id: int | None) -> None:
        """Cache the model of a response; None: the default provider has it. The ledger records it with the request."""
        if model_id is not None:
            self._known.put((tenant_id, key), model_id)
        self._tenants.put(key, tenant_id)

    async def claim(self, tenant_id: int, conversation: str, model_id: int | None) -> None:
        """Store that a conversation is the tenant's: in this process at once, in Postgres within `WAIT` or later.

        If Postgres cannot be reached, this process alone knows it.
        """
        key = key_of(conversation)
        if self._tenants.get(key, None) == tenant_id:
            return
        self.keep(tenant_id, key, model_id)
        write = asyncio.create_task(self._write(tenant_id, key, model_id))
        self._writes.add(write)
        write.add_done_callback(self._writes.discard)
        done, _ = await asyncio.wait({write}, timeout=WAIT)
        for each in done:
            each.result()

    async def _write(self, tenant_id: int, key: bytes, model_id: int | None) -> None:
        with suppress(DatabaseUnavailable):
            await ledger.keep_response(self._db, tenant_id, key, model_id)

    async def find(self, tenant_id: int, response_id: str) -> int | None:
        """Return the `model_id` of a response; None if it is unknown or Postgres cannot be reached."""
        key = key_of(response_id)
        known = self._known.get((tenant_id, key), None)
        if known is not None:
            return known
        with suppress(DatabaseUnavailable):
            known = await ledger.holder(self._db, tenant_id, key)
        if known is not None:
            self.keep(tenant_id, key, known)
        return known

    async def is_foreign(self, tenant_id: int, response_id: str) -> bool:
        """Return whether a response that `find` does not know is another tenant's.

        Raises `DatabaseUnavailable` if that cannot be checked: all tenants share the router's account at a provider,
        which would continue another tenant's conversation.
        """
        key = key_of(response_id)
        owner = self._tenants.get(key, None)
        if owner is not None:
            return owner != tenant_id
        return await ledger.is_foreign(self._db, tenant_id, key)

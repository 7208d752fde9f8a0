"""Finds the model of a stored response, so that a request that continues it goes to the same model."""

from __future__ import annotations

from contextlib import suppress
from hashlib import blake2b

from ..caching import LRU
from ..errors import DatabaseUnavailable
from ..store import ledger
from ..store.database import Database

#: Responses cached in the process, about 150 bytes each.
CAPACITY = 50_000


def key_of(response_id: str) -> bytes:
    """Return a hash of 16 bytes for the id of a response."""
    return blake2b(response_id.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class ResponseAffinity:
    """A cache of the models of responses, with the ledger behind it."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._known = LRU[tuple[int, bytes], int](CAPACITY)
        # The tenant of each response, to refuse it to others: their rows of the ledger cannot be read.
        self._tenants = LRU[bytes, int](CAPACITY)

    def keep(self, tenant_id: int, key: bytes, model_id: int) -> None:
        """Cache the model of a response. The ledger records it with the request."""
        self._known.put((tenant_id, key), model_id)
        self._tenants.put(key, tenant_id)

    def is_foreign(self, tenant_id: int, response_id: str) -> bool:
        """Return whether a response is known in this process to be another tenant's."""
        return self._tenants.get(key_of(response_id), tenant_id) != tenant_id

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

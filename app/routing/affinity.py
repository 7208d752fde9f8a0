"""Which model gave an answer that its provider keeps, so that a request that goes on from it finds the way."""

from __future__ import annotations

from contextlib import suppress
from hashlib import blake2b

from app.caching import LRU
from app.errors import DatabaseUnavailable
from app.store import ledger
from app.store.database import Database

#: Answers remembered in the process, each some 150 bytes.
REMEMBERED = 50_000


def key_of(name: str) -> bytes:
    """16 bytes that stand for an answer's name."""
    return blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()


class ResponseAffinity:
    """Models by the answers they gave, as this process saw them, or as the ledger has them."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._known = LRU[tuple[int, bytes], int](REMEMBERED)

    def keep(self, tenant_id: int, key: bytes, model_id: int) -> None:
        """A model gave that answer. The ledger is told too, a moment later."""
        self._known.put((tenant_id, key), model_id)

    async def find(self, tenant_id: int, name: str) -> int | None:
        """The number of the model that gave the answer; None when nobody knows, or the database is away."""
        key = key_of(name)
        known = self._known.get((tenant_id, key), None)
        if known is not None:
            return known
        with suppress(DatabaseUnavailable):
            known = await ledger.holder(self._db, tenant_id, key)
        if known is not None:
            self.keep(tenant_id, key, known)
        return known

"""Moves tenants' memories to the space of another embedder while the old one serves."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import Any

import typer

from app.cli.common import note, progress
from app.entities import Tenant
from app.errors import Conflict
from app.memory.embedders import CachedEmbedder
from app.store import maintenance, spaces
from app.store.database import Database

#: Numbers of memories read at a time; each time all memories are compared.
READ = 50_000
#: Memories embedded and written at a time, in `PARALLEL` calls of the embedder.
BATCH = 256
PARALLEL = 4
DROPPED = 10_000
#: Between two tries to have the one place where memories are moved, seconds.
BUSY = 5.0
#: What every proxy may take to hear of the switch, seconds; until then the old space is still asked.
SETTLE = 2.0


async def drop(db: Database, tenant_id: int, space_id: int, *, graduated: bool) -> int:
    """Forget all of a space, a batch at a time; returns how many memories. Raises `Conflict` if it is in use."""
    dropped, gone = 0, DROPPED
    while gone == DROPPED:
        gone = await spaces.drop(db, tenant_id, space_id, DROPPED)
        dropped += gone
    if graduated:
        # Empty it is an ungraduated space, whose partition the upkeep sweeps when no reader can need it.
        with contextlib.suppress(maintenance.Busy):
            await maintenance.shrink(db, tenant_id, space_id)
    return dropped


class Reembedding:
    """Moves tenants, one after the other, to the space of one embedder."""

    def __init__(self, db: Database, embedding: CachedEmbedder, space_id: int, *, yes: bool, ask: bool) -> None:
        self._db = db
        self._embedding = embedding
        self._to = space_id
        self._yes = yes
        self._ask = ask
        self._switched: deque[tuple[float, int, int, bool]] = deque()

    async def move(self, tenant: Tenant, *, skip: bool) -> dict[str, Any]:
        """Rewrite and switch; what was done.

        Without consent to a loss, and where somebody else moves the tenant, it is an error, or (`skip`) why not.
        """
        told: dict[str, Any] = {
            "tenant": tenant.name,
            "from": None,
            "to": self._embedding.space,
            "rewritten": 0,
            "lost": 0,
        }
        try:
            return await self._move(tenant, told, skip=skip)
        except Conflict as error:
            if not skip:
                raise
            note(f"{tenant.name} is skipped: {error.message}")
            return {**told, "skipped": error.message}

    async def _move(self, tenant: Tenant, told: dict[str, Any], *, skip: bool) -> dict[str, Any]:
        found = await spaces.spaces_of(self._db, tenant.tenant_id)
        serving = next((row for row in found if row["serves"]), None)
        told["from"] = serving and serving["space"]
        if serving is None or serving["space_id"] == self._to:
            await spaces.build(self._db, tenant.tenant_id, self._to)
            await self._clear(tenant, found)
            return told
        left = await spaces.left(self._db, tenant.tenant_id, serving["space_id"], self._to)
        if not self._consent(tenant, left):
            if skip:
                return {**told, "skipped": "it would lose memories; --yes agrees to that."}
            raise typer.BadParameter("nothing was changed; add --yes if that is meant", param_hint="--yes")
        old = await spaces.build(self._db, tenant.tenant_id, self._to)
        if old != serving["space_id"]:
            raise Conflict(f"{tenant.name} was moved by somebody else meanwhile; run the command again.")
        graduated = serving["graduated"]
        told["rewritten"], told["lost"] = await self._rewrite(tenant, old, left, graduated=graduated)
        self._switched.append((time.monotonic(), tenant.tenant_id, old, graduated))
        await self.settle(SETTLE)
        return told

    async def settle(self, patience: float) -> None:
        """Drop the old spaces that no proxy can be asking any more, and with `patience` 0 wait until all are."""
        while self._switched and (not patience or time.monotonic() - self._switched[0][0] >= patience):
            at, tenant_id, old, graduated = self._switched.popleft()
            await asyncio.sleep(max(0.0, at + SETTLE - time.monotonic()))
            # In use, when somebody has moved it back meanwhile.
            with contextlib.suppress(Conflict):
                await drop(self._db, tenant_id, old, graduated=graduated)

    async def _rewrite(self, tenant: Tenant, old: int, left: spaces.Left, *, graduated: bool) -> tuple[int, int]:
        """Copy until nothing is left to copy and the switch is made; how many memories were rewritten, and lost."""
        rewritten = 0
        allowed = left.lost
        unfit: set[int] = set()
        try:
            with progress(f"Rewriting {tenant.name}", left.outdated) as advance:
                while True:
                    async for batch in self._outdated(tenant, old, unfit):
                        rewritten += await self._copy(tenant, old, batch, unfit)
                        advance(len(batch))
                    if graduated:
                        await self._graduate(tenant)
                        graduated = False
                        continue
                    left = await spaces.switch(self._db, tenant.tenant_id, self._to, lost=allowed, unfit=sorted(unfit))
                    if left.outdated:
                        continue  # Taught meanwhile.
                    if left.lost <= allowed:
                        return rewritten, left.lost
                    if not self._yes:
                        raise Conflict(
                            f"By now {left.lost} memories of {tenant.name} would be lost, not {allowed}: "
                            "run the command again to agree to that."
                        )
                    allowed = left.lost
        except (Exception, asyncio.CancelledError):
            note(
                f"Stopped after rewriting {rewritten} memories of {tenant.name}; the old embedder serves on. The same "
                "command goes on from there; with --stop instead of --to it is given up."
            )
            raise

    async def _outdated(self, tenant: Tenant, old: int, unfit: set[int]) -> AsyncIterator[dict[int, str]]:
        after = 0
        while rows := await spaces.outdated(self._db, tenant.tenant_id, old, self._to, after=after, limit=READ):
            after = rows[-1][0]
            fit = [number for number, stored in rows if stored and number not in unfit]
            for start in range(0, len(fit), BATCH):
                yield await spaces.prompts(self._db, tenant.tenant_id, fit[start : start + BATCH])

    async def _copy(self, tenant: Tenant, old: int, prompts: dict[int, str], unfit: set[int]) -> int:
        vectors = await self._embed(list(prompts.values()))
        made = {number: vector for number, vector in zip(prompts, vectors, strict=True) if vector is not None}
        unfit.update(prompts.keys() - made.keys())
        return await spaces.reembed(self._db, tenant.tenant_id, old, self._to, made) if made else 0

    async def _embed(self, texts: list[str]) -> list[Any]:
        size = -(-len(texts) // PARALLEL) or 1
        parts = [texts[start : start + size] for start in range(0, len(texts), size)]
        return [vector for part in await asyncio.gather(*map(self._embedding.embed_many, parts)) for vector in part]

    def _consent(self, tenant: Tenant, left: spaces.Left) -> bool:
        """Say what will happen; whether a loss, if there is one, is agreed to."""
        note(f"{tenant.name}: {left.outdated} memories are rewritten for {self._embedding.space}.")
        if not left.lost:
            return True
        note(f"{tenant.name}: {left.lost} memories have no stored prompt and WILL BE LOST, with their labels.")
        return self._yes or (self._ask and typer.confirm("Go on?", err=True))

    async def _clear(self, tenant: Tenant, found: list[Mapping[str, Any]]) -> None:
        """Drop what an earlier move left behind, but not what this space has never got."""
        for row in found:
            if row["space_id"] == self._to:
                continue
            left = await spaces.left(self._db, tenant.tenant_id, row["space_id"], self._to)
            if self._yes or not any(left):
                await drop(self._db, tenant.tenant_id, row["space_id"], graduated=row["graduated"])
            else:
                note(
                    f"{tenant.name}: {sum(left)} memories of {row['space']} are not among these. They are the first "
                    "to be forgotten when it is full, or at once with --yes."
                )

    async def _graduate(self, tenant: Tenant) -> None:
        """Give the new space its index before it serves, as the old one has."""
        note(f"{tenant.name}: building the index of {self._embedding.space}.")
        while True:
            try:
                await maintenance.graduate(self._db, tenant.tenant_id, self._to)
            except maintenance.Busy as error:
                note(f"{tenant.name}: waiting, as {error}.")
                await asyncio.sleep(BUSY)
            else:
                return

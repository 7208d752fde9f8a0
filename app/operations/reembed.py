"""Moves tenants' memories to the space of another embedder while the old one serves."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from ..dialects.markers import Markers
from ..dialects.request_text import request_text
from ..entities import Tenant
from ..errors import BadRequest, Conflict
from ..memory.embedders import CachedEmbedder
from ..store import maintenance, spaces
from ..store.database import Database

#: Numbers of memories read at a time; each read compares all memories of both spaces.
READ = 50_000
#: Memories embedded and written at a time, in `PARALLEL` calls of the embedder.
BATCH = 256
PARALLEL = 4
#: Memories dropped in one statement.
DROPPED = 10_000
#: Wait before trying again while another session moves memories to or from a partition, seconds.
BUSY = 5.0
#: Time until every proxy has read the switch, seconds; until then the old space is still searched.
SETTLE = 2.0


async def drop(db: Database, tenant_id: int, space_id: int, *, graduated: bool) -> int:
    """Delete a space's memories in batches; returns how many were deleted. Raises `Conflict` if the space is in use."""
    dropped, gone = 0, DROPPED
    while gone == DROPPED:
        gone = await spaces.drop(db, tenant_id, space_id, DROPPED)
        dropped += gone
    if graduated:
        # When empty it is an ungraduated space; maintenance drops its partition once no reader can need it.
        with contextlib.suppress(maintenance.Busy):
            await maintenance.shrink(db, tenant_id, space_id)
    return dropped


def _no_progress(label: str, length: int) -> AbstractContextManager[Callable[[int], None]]:
    return contextlib.nullcontext(lambda _: None)


@dataclass(frozen=True, slots=True)
class Dialogue:
    """The interface of a move to its operator: reports, and a question for consent.

    `notice` is called with each sentence of interest, `progress` with a label and a length and returns a context whose
    value is called with the number of memories done. `consent` is called before memories are lost.
    """

    notice: Callable[[str], None] = lambda _: None
    progress: Callable[[str, int], AbstractContextManager[Callable[[int], None]]] = _no_progress
    consent: Callable[[], bool] = lambda: False


class Reembedding:
    """Moves tenants, one after the other, to the space of one embedder.

    `yes`: lose memories whose prompts are not stored, without asking for consent.
    """

    def __init__(
        self,
        db: Database,
        embedding: CachedEmbedder,
        space_id: int,
        markers: Markers,
        *,
        yes: bool,
        dialogue: Dialogue,
    ) -> None:
        self._db = db
        self._embedding = embedding
        self._to = space_id
        self._markers = markers
        self._yes = yes
        self._dialogue = dialogue
        self._switched: deque[tuple[float, int, int, bool]] = deque()

    async def move(self, tenant: Tenant, *, skip: bool) -> dict[str, Any]:
        """Rewrite a tenant's memory, switch to it, and return what was done: the row that `pgrouter reembed` prints.

        If a loss is not agreed to, or another session moves the tenant, raise `BadRequest` or `Conflict`; with `skip`
        return a row with the reason in `skipped` instead.
        """
        done: dict[str, Any] = {
            "tenant": tenant.name,
            "from": None,
            "to": self._embedding.space,
            "rewritten": 0,
            "lost": 0,
        }
        try:
            return await self._move(tenant, done, skip=skip)
        except Conflict as error:
            if not skip:
                raise
            self._dialogue.notice(f"{tenant.name} is skipped: {error.message}")
            return {**done, "skipped": error.message}

    async def _move(self, tenant: Tenant, done: dict[str, Any], *, skip: bool) -> dict[str, Any]:
        found = await spaces.spaces_of(self._db, tenant.tenant_id)
        serving = next((row for row in found if row["serves"]), None)
        done["from"] = serving and serving["space"]
        if serving is None or serving["space_id"] == self._to:
            await spaces.build(self._db, tenant.tenant_id, self._to)
            await self._clear(tenant, found)
            return done
        left = await spaces.left(self._db, tenant.tenant_id, serving["space_id"], self._to)
        if not self._consent(tenant, left):
            if skip:
                return {**done, "skipped": "the move would lose memories; add --yes to accept that."}
            raise BadRequest("nothing was changed; add --yes to accept the loss", param="yes")
        old = await spaces.build(self._db, tenant.tenant_id, self._to)
        if old != serving["space_id"]:
            raise Conflict(f"Another session moved {tenant.name} in the meantime: run the command again.")
        graduated = serving["graduated"]
        done["rewritten"], done["lost"] = await self._rewrite(tenant, old, left, graduated=graduated)
        self._switched.append((time.monotonic(), tenant.tenant_id, old, graduated))
        await self.settle(SETTLE)
        return done

    async def settle(self, age: float) -> None:
        """Drop the old spaces of tenants switched at least `age` seconds ago; 0: wait for all, and drop them."""
        while self._switched and (not age or time.monotonic() - self._switched[0][0] >= age):
            at, tenant_id, old, graduated = self._switched.popleft()
            await asyncio.sleep(max(0.0, at + SETTLE - time.monotonic()))
            # The old space is in use again if another session has moved the tenant back.
            with contextlib.suppress(Conflict):
                await drop(self._db, tenant_id, old, graduated=graduated)

    async def _rewrite(self, tenant: Tenant, old: int, left: spaces.Left, *, graduated: bool) -> tuple[int, int]:
        """Copy until nothing is left to copy, then switch; returns the numbers of memories rewritten and lost."""
        rewritten = 0
        allowed = left.lost
        unfit: set[int] = set()
        try:
            with self._dialogue.progress(f"Rewriting {tenant.name}", left.outdated) as advance:
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
                        continue  # Memories were taught in the meantime.
                    if left.lost <= allowed:
                        return rewritten, left.lost
                    if not self._yes:
                        raise Conflict(
                            f"{left.lost} memories of {tenant.name} would be lost by now, not {allowed}: "
                            "run the command again to accept that."
                        )
                    allowed = left.lost
        except (Exception, asyncio.CancelledError):
            self._dialogue.notice(
                f"Stopped after rewriting {rewritten} memories of {tenant.name}; the old embedder still serves. Run "
                "the same command to continue, or with --stop instead of --to to abandon the move."
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
        # Prompts that were taught with wrappers, before these were taken out.
        texts = [request_text([{"role": "user", "content": text}], "conversation", self._markers) for text in texts]
        size = -(-len(texts) // PARALLEL) or 1
        parts = [texts[start : start + size] for start in range(0, len(texts), size)]
        return [vector for part in await asyncio.gather(*map(self._embedding.embed_many, parts)) for vector in part]

    def _consent(self, tenant: Tenant, left: spaces.Left) -> bool:
        """Report what will happen; return whether a loss, if there is one, is agreed to."""
        notice = self._dialogue.notice
        notice(f"{tenant.name}: {left.outdated} memories are rewritten for {self._embedding.space}.")
        if not left.lost:
            return True
        notice(f"{tenant.name}: {left.lost} memories have no stored prompt and WILL BE LOST, with their labels.")
        return self._yes or self._dialogue.consent()

    async def _clear(self, tenant: Tenant, found: list[Mapping[str, Any]]) -> None:
        """Drop the spaces an earlier move left behind, except those with memories that this space lacks."""
        for row in found:
            if row["space_id"] == self._to:
                continue
            left = await spaces.left(self._db, tenant.tenant_id, row["space_id"], self._to)
            if self._yes or not any(left):
                await drop(self._db, tenant.tenant_id, row["space_id"], graduated=row["graduated"])
            else:
                self._dialogue.notice(
                    f"{tenant.name}: {sum(left)} memories of {row['space']} are not in this space. They are the first "
                    "to be evicted when the memory is full; add --yes to delete them at once."
                )

    async def _graduate(self, tenant: Tenant) -> None:
        """Build the new space's index before it serves, as the old one has one."""
        self._dialogue.notice(f"{tenant.name}: building the index of {self._embedding.space}.")
        while True:
            try:
                await maintenance.graduate(self._db, tenant.tenant_id, self._to)
            except maintenance.Busy as error:
                self._dialogue.notice(f"{tenant.name}: waiting: {error}.")
                await asyncio.sleep(BUSY)
            else:
                return

"""A tenant between two embedding spaces, in SQL and behind a proxy."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import asyncpg
import orjson

from app.store import spaces
from tests.support.proxy import Proxy
from tests.support.separable_prompts import easy, lessons
from tests.support.sql_world import START, Taught, World, direction

REMOTE = "openai:fake-embedder"
REMOTE_SPACE = f"{REMOTE}@384"
STATIC_SPACE = "wordllama-surface-354"
# Two of the prompts are the same, by chance.
LESSONS = list({lesson["prompt"]: lesson for lesson in lessons(140)}.values())[:120]


class Spaces:
    """A tenant of the SQL world between two spaces; the angles of a new embedding are those of the old one plus 1."""

    def __init__(self, world: World, tenant: int, old: int, new: int) -> None:
        self.world, self.tenant, self.old, self.new = world, tenant, old, new

    async def call(self, function: str, *arguments: Any) -> Any:
        """Return the value of a function of the tenant, called as the owner."""
        places = "".join(f", ${position}" for position in range(2, len(arguments) + 2))
        return await self.world.owner.fetchval(f"select router.{function}($1{places})", self.tenant, *arguments)

    async def build(self) -> int:
        return int(await self.call("build_space", self.new))

    async def outdated(self) -> list[int]:
        return [row[0] for row in await self._outdated()]

    async def _outdated(self) -> list[asyncpg.Record]:
        rows: list[asyncpg.Record] = await self.world.owner.fetch(
            "select * from router.outdated($1, $2, $3)", self.tenant, self.old, self.new
        )
        return rows

    async def copy(self, memories: list[int] | None = None) -> int:
        """Copy these memories, or all outdated ones with a stored prompt."""
        if memories is None:
            memories = [row["memory_id"] for row in await self._outdated() if row["stored"]]
        return int(await self.call("reembed", self.old, self.new, memories, [direction(1)] * len(memories)))

    async def switch(self, lost: int = 0, unfit: tuple[int, ...] = ()) -> tuple[int, int]:
        row = await self.world.owner.fetchrow(
            "select * from router.switch_space($1, $2, $3, $4)", self.tenant, self.new, lost, list(unfit)
        )
        return row["outdated"], row["lost"]

    async def drop(self, space: int) -> int:
        return int(await self.call("drop_space", space))

    async def count(self, space: int) -> int:
        """Return the number of memories in a space."""
        return int(
            await self.world.owner.fetchval(
                "select count(*) from router.memories where tenant_id = $1 and space_id = $2", self.tenant, space
            )
        )

    async def prompts(self, space: int) -> list[str]:
        rows = await self.world.owner.fetch(
            "select prompt from router.memory_texts where tenant_id = $1 and space_id = $2 order by memory_id",
            self.tenant, space,
        )  # fmt: skip
        return [row["prompt"] for row in rows]

    async def teach(self, *prompts: str, at: int = 0, score: float = 1.0, **options: Any) -> list[int]:
        """Teach in the serving space, `at` minutes after the start, and return the memories' numbers."""
        taught = await self.world.teach(
            self.tenant,
            *(Taught(prompt, {self.world.small: score, self.world.large: 1.0}) for prompt in prompts),
            space=options.pop("space", self.old),
            at=START + timedelta(minutes=at),
            **options,
        )
        return [memory for memory, _ in taught]


Run = Callable[..., Any]


async def ask(proxy: Proxy, seed: int, key: str | None = None) -> tuple[str, str]:
    """Ask an easy prompt, and return the serving model and the reason."""
    body = {"model": "auto", "messages": [{"role": "user", "content": easy(seed)}]}
    async with proxy.http(key) as http, http.post("/v1/chat/completions", json=body) as response:
        assert response.status == 200
        return response.headers["x-router-model"], response.headers["x-router-reason"]


async def get(proxy: Proxy, path: str) -> Any:
    async with proxy.http() as http, http.get(f"/v1/router/{path}") as response:
        assert response.status == 200, await response.text()
        return orjson.loads(await response.read())


async def spaces_of(proxy: Proxy) -> dict[str, tuple[int, bool, bool]]:
    """Return the memories of each space, and whether it serves and is being built."""
    rows = await spaces.spaces_of(proxy.admin, proxy.tenant_id)
    return {row["space"]: (row["memories"], row["serves"], row["building"]) for row in rows if row["memories"]}

"""Changing the embedder: the memory is rewritten while the old one serves, and nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest
from typer.testing import CliRunner, Result

from app.cli import main
from app.errors import Conflict
from app.memory import embedders
from app.memory.embedders import Embedder, setting_of
from app.memory.embedders.static import StaticEmbedder
from app.operations import reembed
from app.settings import Settings
from app.store import maintenance, spaces, tenants
from app.store import memories as memory
from app.store.database import Database
from app.store.memory_files import Staging
from scripts.fake_provider.server import Running
from tests.conftest import ProxyFactory
from tests.sql.test_memory import assert_every_sum_is_a_recount
from tests.support.proxy import CHEAP, STRONG, Proxy, make_tenant
from tests.support.separable_prompts import easy, lessons
from tests.support.sql_world import START, Taught, World, connect, direction

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
        """The one value of a function of the tenant, asked as the owner."""
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
        """Copy these memories, or all that are outdated and have a prompt."""
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
        """Memories in a space."""
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
        """Teach in the space that serves, `at` minutes after the start; the memories' numbers."""
        taught = await self.world.teach(
            self.tenant,
            *(Taught(prompt, {self.world.small: score, self.world.large: 1.0}) for prompt in prompts),
            space=options.pop("space", self.old),
            at=START + timedelta(minutes=at),
            **options,
        )
        return [memory for memory, _ in taught]


@pytest.fixture
async def two(world: World) -> Spaces:
    """A tenant without memories and two spaces, the first of which is the world's."""
    new = await world.owner.fetchval("select router.register_space('other', 384)")
    return Spaces(world, await world.tenant(), world.space, new)


# What a copy is.


async def test_a_copy_differs_in_its_embedding_alone(two: Spaces) -> None:
    world = two.world
    lesson = Taught("p", {world.small: 0.25}, direction(0), {world.small: 7}, "tag", "judge", 12)
    await world.teach(two.tenant, lesson, at=START)
    await two.build()
    assert await two.copy() == 1
    columns = """
        m.created_at, m.tier, m.task_id, m.prompt_tokens, m.quality, m.completion_tokens, x.prompt_hash, x.source,
        x.prompt, x.key_id, x.first_taught_at
    """
    rows = await world.owner.fetch(
        f"select m.space_id, m.embedding, {columns} from router.memories as m"
        " join router.memory_texts as x using (tenant_id, memory_id, space_id) order by m.memory_id"
    )
    assert [row["space_id"] for row in rows] == [two.old, two.new]
    assert [row["embedding"] for row in rows] == [direction(0), direction(1)]
    assert tuple(rows[0])[2:] == tuple(rows[1])[2:]
    await assert_every_sum_is_a_recount(world)


async def test_memories_are_listed_once_while_they_are_copied_and_after_the_switch(two: Spaces) -> None:
    await two.teach("a", "b")
    for step in (two.build, two.copy, two.switch):
        await step()
        rows = await two.world.app.fetch("select prompt, space from router.recall($1)", two.tenant)
        assert [row["prompt"] for row in rows] == ["a", "b"]
    assert {row["space"] for row in rows} == {"other"}


async def test_an_export_has_every_memory_once_at_each_step_of_a_move(two: Spaces) -> None:
    await two.teach("a", "b")
    for step in (two.build, two.copy, two.switch):
        await step()
        rows = await two.world.owner.fetch("select prompt from router.export($1)", two.tenant)
        assert [row["prompt"] for row in rows] == ["a", "b"]


async def test_a_copy_is_taken_again_when_its_prompt_was_taught_again(two: Spaces) -> None:
    first, _ = await two.teach("a", "b")
    await two.build()
    assert await two.copy() == 2
    assert await two.outdated() == []
    await two.teach("a", at=1, score=0.0)
    assert await two.outdated() == [first]
    assert await two.switch() == (1, 0)
    assert await two.copy() == 1
    quality = await two.world.owner.fetchval(
        "select m.quality[$2] from router.memories as m join router.memory_texts as x using (tenant_id, memory_id)"
        " where m.space_id = $1 and x.prompt = 'a'", two.new, two.world.small,
    )  # fmt: skip
    assert quality == 0.0
    assert await two.count(two.new) == 2
    assert await two.switch() == (0, 0)
    await assert_every_sum_is_a_recount(two.world)


async def test_what_the_new_space_was_taught_later_is_not_overwritten(two: Spaces) -> None:
    await two.teach("a", space=two.new, at=5, score=0.5)
    old = await two.teach("a", "b", at=1)
    await two.build()
    assert await two.outdated() == old[1:]
    assert await two.copy(old) == 1
    assert await two.count(two.new) == 2


# Forgetting.


async def test_what_is_forgotten_between_reading_and_copying_stays_forgotten(two: Spaces) -> None:
    memories = await two.teach("a", "b")
    await two.build()
    outdated = await two.outdated()
    await two.world.app.fetchval("select router.forget($1, $2)", two.tenant, memories[:1])
    assert await two.copy(outdated) == 1
    assert await two.prompts(two.new) == ["b"]


async def test_forgetting_a_memory_forgets_its_copy(two: Spaces) -> None:
    memories = await two.teach("a", "b")
    await two.build()
    await two.copy()
    assert await two.world.app.fetchval("select router.forget($1, $2)", two.tenant, memories[:1]) == 1
    assert await two.prompts(two.old) == await two.prompts(two.new) == ["b"]
    await two.switch()
    (copy,) = [row[0] for row in await two.world.app.fetch("select memory_id from router.recall($1)", two.tenant)]
    assert await two.world.app.fetchval("select router.forget($1, $2)", two.tenant, [copy]) == 1
    assert await two.count(two.old) == await two.count(two.new) == 0
    await assert_every_sum_is_a_recount(two.world)


async def test_forgetting_everything_counts_no_copies(two: Spaces) -> None:
    await two.teach("a", "b")
    await two.build()
    await two.copy()
    assert await two.world.app.fetchval("select router.forget($1, null, true)", two.tenant) == 2
    assert await two.count(two.old) == await two.count(two.new) == 0


# The cap.


async def test_copies_push_no_serving_memory_out(two: Spaces) -> None:
    await two.world.owner.execute("update router.tenants set memory_cap = 10 where tenant_id = $1", two.tenant)
    await two.teach(*"abcdefghij")
    await two.build()
    assert await two.copy() == 10
    await two.teach("k", at=1)
    assert await two.count(two.old) == 11
    await two.teach("l", at=2)
    assert await two.prompts(two.old) == list("cdefghijkl")


async def test_copies_of_what_was_evicted_do_not_pile_up(two: Spaces) -> None:
    await two.world.owner.execute("update router.tenants set memory_cap = 10 where tenant_id = $1", two.tenant)
    await two.teach(*"abcdefghij")
    await two.build()
    for minute in range(1, 60):
        await two.teach(f"{minute}", at=minute)
        await two.copy()
        assert await two.count(two.new) <= 11
    assert await two.switch() == (0, 0)
    await assert_every_sum_is_a_recount(two.world)


async def test_after_the_move_the_cap_holds_for_the_new_space(two: Spaces) -> None:
    await two.world.owner.execute("update router.tenants set memory_cap = 10 where tenant_id = $1", two.tenant)
    await two.teach(*(f"own {number}" for number in range(8)), space=two.new, at=1)
    await two.teach(*"abcdefgh", at=2)
    await two.world.owner.execute("update router.tenants set space_id = $2 where tenant_id = $1", two.tenant, two.old)
    await two.build()
    await two.copy()
    assert await two.switch() == (0, 0)
    await two.drop(two.old)
    assert await two.count(two.old) == 0
    assert (await two.prompts(two.new))[-8:] == list("abcdefgh")
    assert await two.count(two.new) == 10


async def test_after_the_switch_the_old_space_is_evicted_first(two: Spaces) -> None:
    await two.world.owner.execute("update router.tenants set memory_cap = 10 where tenant_id = $1", two.tenant)
    await two.teach(*"abcdefghij")
    await two.build()
    await two.copy()
    await two.switch()
    await two.teach("k", space=two.new, at=1)
    assert await two.prompts(two.new) == list("bcdefghijk")
    assert await two.count(two.old) == 0


async def test_the_overview_is_of_the_space_that_serves(two: Spaces) -> None:
    await two.world.policy(two.tenant)
    await two.teach("a", "b")
    await two.world.owner.execute("select router.graduate($1)", two.tenant)
    seen = []
    for step in (two.build, two.copy, two.switch):
        await step()
        row = await two.world.owner.fetchrow("select memories, graduated from router.overview")
        seen.append((row["memories"], row["graduated"]))
    assert seen == [(2, True), (2, True), (2, False)]


async def test_what_is_being_built_graduates_only_when_it_is_named(two: Spaces) -> None:
    await two.teach("a", "b", "c")
    await two.build()
    await two.copy()
    await two.call("forget", [(await two.world.app.fetchval("select memory_id from router.recall($1)", two.tenant))])
    assert await two.call("graduate") == 2
    tiers = await two.world.owner.fetch("select space_id, tier from router.memory_counts order by space_id")
    assert {row["space_id"]: row["tier"] for row in tiers} == {two.old: 1, two.new: 0}
    assert await two.call("graduate", two.new) == 2


async def test_a_space_is_dropped_in_bites(two: Spaces) -> None:
    await two.world.owner.execute("update router.tenants set memory_cap = 8 where tenant_id = $1", two.tenant)
    await two.teach(*"abcdefgh")
    await two.build()
    await two.copy()
    await two.switch()
    assert await two.call("drop_space", two.old, 3) == 3
    assert await two.count(two.old) == 5
    assert await two.count(two.new) == 8


async def test_a_deleted_tenant_is_not_rewritten(two: Spaces) -> None:
    await two.call("delete_tenant")
    with pytest.raises(asyncpg.PostgresError) as raised:
        await two.call("reembed", two.old, two.new, [], [])
    assert raised.value.sqlstate == "RT007"


# Who serves.


async def test_a_space_that_was_never_chosen_is_written_down_when_another_is_built(two: Spaces) -> None:
    await two.teach("a", space=two.new)
    await two.teach("b", "c")
    assert await two.build() == two.old
    row = await two.world.owner.fetchrow("select space_id, next_space_id from router.tenants")
    assert tuple(row) == (two.old, two.new)


async def test_a_tenant_without_memories_is_in_the_new_space_at_once(two: Spaces) -> None:
    assert await two.build() == two.new
    row = await two.world.owner.fetchrow("select space_id, next_space_id from router.tenants")
    assert tuple(row) == (two.new, None)


async def test_the_switch_waits_for_what_is_outdated(two: Spaces) -> None:
    await two.teach("a", "b")
    await two.build()
    await two.copy((await two.outdated())[:1])
    assert await two.switch() == (1, 0)
    assert await two.world.owner.fetchval("select space_id from router.tenants") == two.old
    await two.copy()
    assert await two.switch() == (0, 0)
    assert await two.world.owner.fetchval("select space_id from router.tenants") == two.new


async def test_no_more_is_lost_than_was_agreed_to(two: Spaces) -> None:
    unfit, _, other = await two.teach("a", "b", "c")
    await two.world.owner.execute("update router.memory_texts set prompt = null where prompt = 'b'")
    await two.build()
    await two.copy([other])
    assert await two.switch() == (1, 1)
    assert await two.switch(1) == (1, 1)
    assert await two.switch(1, (unfit,)) == (0, 2)
    assert await two.world.owner.fetchval("select space_id from router.tenants") == two.old
    assert await two.switch(2, (unfit,)) == (0, 2)
    assert await two.world.owner.fetchval("select space_id from router.tenants") == two.new


async def test_teaching_for_a_space_that_does_not_serve_is_refused(two: Spaces) -> None:
    await two.teach("a")
    await two.build()
    await two.copy()
    for serving, other in ((two.old, two.new), (two.new, two.old)):
        with pytest.raises(asyncpg.PostgresError) as caught:
            await two.teach("b", space=other)
        assert caught.value.sqlstate == "RT007"
        await two.teach("c", space=serving, at=1)
        await two.copy() if serving == two.old else None
        await two.switch() if serving == two.old else None


async def test_a_third_space_is_refused_until_the_second_is_given_up(two: Spaces) -> None:
    third = await two.world.owner.fetchval("select router.register_space('third', 384)")
    await two.teach("a")
    await two.build()
    await two.copy()
    with pytest.raises(asyncpg.PostgresError, match="is being rewritten for other already") as caught:
        await two.call("build_space", third)
    assert caught.value.sqlstate == "RT007"
    for space in (two.old, two.new):
        with pytest.raises(asyncpg.PostgresError, match="is in use"):
            await two.drop(space)
    await two.call("build_space", None)
    with pytest.raises(asyncpg.PostgresError, match="is not being rewritten"):
        await two.switch()
    with pytest.raises(asyncpg.PostgresError, match="is not being rewritten"):
        await two.copy()
    assert await two.drop(two.new) == 1
    assert await two.call("build_space", third) == two.old


async def test_status_is_of_the_space_that_serves(two: Spaces) -> None:
    await two.world.policy(two.tenant)
    await two.teach("a", "b")
    await two.build()
    await two.copy((await two.outdated())[:1])
    columns = ("space", "memories", "building", "built", "other_spaces")
    for asked in (two.old, two.new):
        (row,) = await two.world.app.fetch("select * from router.status($1, $2)", two.tenant, asked)
        assert tuple(row[column] for column in columns) == ("space", 2, "other", 1, 0)
    await two.copy()
    await two.switch()
    (row,) = await two.world.app.fetch("select * from router.status($1, $2)", two.tenant, two.old)
    assert tuple(row[column] for column in columns) == ("other", 2, None, 0, 2)


async def test_nothing_taught_or_forgotten_during_a_move_is_lost(two: Spaces) -> None:
    """Writers that teach and forget while another copies and switches: what they were told is what there is."""
    pick = random.Random(7)
    await two.teach(*(f"p{number}" for number in range(60)))
    expected: dict[str, float | None] = {f"p{number}": 1.0 for number in range(60)}
    done = asyncio.Event()
    serving = two.old

    async def write(worker: int) -> None:
        nonlocal serving
        connection = await connect(two.world.dsn)
        try:
            minute = 1
            while not done.is_set():
                # Room for a switch, which three writers without a pause may never leave.
                await asyncio.sleep(pick.random() * 0.02)
                # Each has prompts of its own, so that the order of what it did is known.
                prompt = f"p{worker + 3 * pick.randrange(25)}"
                minute += 1
                if pick.random() < 0.3:
                    found = await connection.fetch("select * from router.recall($1, $2)", two.tenant, prompt)
                    ids = [row["memory_id"] for row in found if row["prompt"] == prompt]
                    await connection.fetchval("select router.forget($1, $2)", two.tenant, ids)
                    expected[prompt] = None
                    continue
                score = pick.choice((0.0, 0.25, 0.5))
                try:
                    await two.teach(prompt, at=minute, score=score, by=connection, space=serving)
                except asyncpg.PostgresError as error:
                    if error.sqlstate != "RT007":
                        raise
                    serving = two.new
                    continue
                expected[prompt] = score
        finally:
            await connection.close()

    writers = [asyncio.create_task(write(worker)) for worker in range(3)]
    try:
        await two.build()
        for _ in range(1000):
            outdated = await two.outdated()
            await asyncio.sleep(0.01)  # Embedding takes its time.
            await two.copy(outdated)
            if await two.switch() == (0, 0):
                break
        else:
            raise AssertionError("it was never switched")
        await asyncio.sleep(0.3)
        await two.drop(two.old)
    finally:
        done.set()
        await asyncio.gather(*writers)
    assert serving == two.new
    rows = await two.world.app.fetch("select prompt, space, models, scores from router.recall($1)", two.tenant)
    assert {row["space"] for row in rows} == {"other"}
    found = {row["prompt"]: dict(zip(row["models"], row["scores"], strict=True))["small"] for row in rows}
    assert found == {prompt: score for prompt, score in expected.items() if score is not None}
    await assert_every_sum_is_a_recount(two.world)


@pytest.mark.parametrize(
    ("space", "setting"),
    [
        (STATIC_SPACE, "static"),
        ("minilm-l6-v2-int8-384", "minilm"),
        (REMOTE_SPACE, REMOTE),
        ("openai:a@b@256", "openai:a@b"),
        (REMOTE, None),
        ("onnx-0123456789ab-384", None),
        ("static", None),
    ],
)
def test_the_name_of_a_space_tells_its_embedder(space: str, setting: str | None) -> None:
    assert setting_of(space) == setting


# The command.

Run = Callable[..., Any]


@pytest.fixture
def environment(database: str, upstream: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database, and the fake provider as the endpoint of remote embedders."""
    for name in [name for name in os.environ if name.startswith(("ROUTER_", "OPENAI_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setenv("ROUTER_EMBEDDING_URL", upstream.url)
    monkeypatch.setattr(reembed, "SETTLE", 0.05)


@pytest.fixture
def run(environment: None) -> Run:
    """Runs a command in a thread, as it brings a loop of its own, and expects the exit code `code`."""

    async def invoke(*arguments: str, code: int = 0, answer: str | None = None) -> Result:
        result = await asyncio.to_thread(CliRunner().invoke, main, list(arguments), input=answer)
        assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
        return result

    return invoke


@pytest.fixture
async def warm(proxies: ProxyFactory, environment: None, upstream: Running) -> AsyncIterator[Proxy]:
    """A proxy whose tenant was taught 120 examples with the static embedder; it may use the remote one."""
    upstream.clear()
    async with proxies(embedding_url=upstream.url, embedding_deadline=5.0) as proxy:
        await proxy.rank(LESSONS)
        yield proxy


async def ask(proxy: Proxy, seed: int, key: str | None = None) -> tuple[str, str]:
    """Who serves an easy prompt, and why."""
    body = {"model": "auto", "messages": [{"role": "user", "content": easy(seed)}]}
    async with proxy.http(key) as http, http.post("/v1/chat/completions", json=body) as response:
        assert response.status == 200
        return response.headers["x-router-model"], response.headers["x-router-reason"]


async def get(proxy: Proxy, path: str) -> Any:
    async with proxy.http() as http, http.get(f"/v1/router/{path}") as response:
        assert response.status == 200, await response.text()
        return orjson.loads(await response.read())


async def spaces_of(proxy: Proxy) -> dict[str, tuple[int, bool, bool]]:
    """Memories by space, and whether it serves and is being built."""
    rows = await spaces.spaces_of(proxy.admin, proxy.tenant_id)
    return {row["space"]: (row["memories"], row["serves"], row["building"]) for row in rows if row["memories"]}


async def test_a_tenant_is_routed_by_its_memory_before_during_and_after(
    warm: Proxy, run: Run, upstream: Running
) -> None:
    upstream.script("fake-embedder", "delay=0.1")
    command = asyncio.create_task(run("reembed", "--tenant", "acme", "--to", REMOTE, "--json"))
    seen = set()
    seeds = iter(range(1000, 100_000))
    while not command.done():
        assert await ask(warm, next(seeds)) == (CHEAP, "learned")
        seen.add(frozenset((await spaces_of(warm)).items()))
    assert orjson.loads((await command).stdout) == {
        "tenant": "acme", "from": STATIC_SPACE, "to": REMOTE_SPACE, "rewritten": 120, "lost": 0
    }  # fmt: skip
    assert len(seen) > 1
    upstream.clear()
    assert await ask(warm, next(seeds)) == (CHEAP, "learned")
    assert sum(entry["path"] == "/v1/embeddings" for entry in upstream.log()) == 1
    assert await spaces_of(warm) == {REMOTE_SPACE: (120, True, False)}
    status = await get(warm, "status")
    assert (status["embedder"], status["building"], status["memories"]) == (REMOTE_SPACE, None, 120)
    assert {row["embedder"] for row in (await get(warm, "memories"))["data"]} == {REMOTE_SPACE}


async def test_after_the_move_teaching_explaining_and_importing_use_the_new_embedder(
    warm: Proxy, run: Run, tmp_path: Path
) -> None:
    await run("reembed", "--tenant", "acme", "--to", REMOTE)
    await warm.rank([{"prompt": "taught over HTTP", "scores": {CHEAP: 1}}])
    file = tmp_path / "more.jsonl"
    file.write_bytes(orjson.dumps({"prompt": "taught from a file", "scores": {CHEAP: 1}}))
    await run("import", str(file), "--tenant", "acme")
    assert await spaces_of(warm) == {REMOTE_SPACE: (122, True, False)}
    async with warm.http() as http, http.post("/v1/router/explain", json={"prompt": "taught over HTTP"}) as response:
        explained = orjson.loads(await response.read())
    assert explained["neighbours"][0]["prompt"] == "taught over HTTP"
    assert explained["neighbours"][0]["similarity"] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
async def test_a_move_that_was_ended_half_way_goes_on_where_it_was(
    warm: Proxy, run: Run, upstream: Running, monkeypatch: pytest.MonkeyPatch, end: signal.Signals
) -> None:
    await warm.rank([{"prompt": f"number {n}", "scores": {CHEAP: 1, STRONG: 1}} for n in range(600)])
    upstream.script("fake-embedder", "delay=0.3")
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "reembed", "--tenant", "acme", "--to", REMOTE],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        while not (await spaces_of(warm)).get(REMOTE_SPACE):
            assert process.poll() is None, process.communicate()
            await asyncio.sleep(0.02)
        process.send_signal(end)
        _, complaints = await asyncio.to_thread(process.communicate, timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode
    if end == signal.SIGINT:
        assert "Run the same command to continue" in complaints
        assert "Traceback" not in complaints
    copied, serves, building = (await spaces_of(warm))[REMOTE_SPACE]
    assert 0 < copied < 720
    assert (serves, building) == (False, True)
    assert await ask(warm, 1) == (CHEAP, "learned")
    status = await get(warm, "status")
    assert (status["embedder"], status["building"]) == (STATIC_SPACE, {"embedder": REMOTE_SPACE, "memories": copied})
    (row,) = orjson.loads((await run("status", "--json")).stdout)
    assert (row["embedder"], row["building"], row["built"]) == (STATIC_SPACE, REMOTE_SPACE, copied)
    upstream.clear()
    again = orjson.loads((await run("reembed", "--tenant", "acme", "--to", REMOTE, "--json")).stdout)
    assert again["rewritten"] == 720 - copied
    assert await spaces_of(warm) == {REMOTE_SPACE: (720, True, False)}
    assert await ask(warm, 2) == (CHEAP, "learned")


async def test_what_is_taught_and_forgotten_before_the_switch_is_as_it_was_left(
    warm: Proxy, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch = spaces.switch
    rows = (await get(warm, "memories?limit=2"))["data"]
    calls = 0

    async def meddled(db: Database, *arguments: Any, **options: Any) -> spaces.Left:
        nonlocal calls
        calls += 1
        if calls == 1:
            service = warm.services
            (vector,) = await service.spaces.own.embedder.embed_many([rows[0]["prompt"]])
            assert vector is not None
            again = memory.Example(rows[0]["prompt"], "human", None, 9, {1: 0.5}, {}, vector)
            await memory.record(db, warm.tenant_id, service.spaces.own.space_id, None, [again])
            await memory.forget(db, warm.tenant_id, [rows[1]["id"]])
        return await switch(db, *arguments, **options)

    monkeypatch.setattr(spaces, "switch", meddled)
    await run("reembed", "--tenant", "acme", "--to", REMOTE)
    assert calls == 2
    found = {row["prompt"]: row["scores"] for row in (await get(warm, "memories?limit=1000"))["data"]}
    assert len(found) == 119
    assert list(found[rows[0]["prompt"]].values()) == [0.5]
    assert rows[1]["prompt"] not in found


async def test_a_tenant_that_stores_no_prompts_is_told_what_it_loses_first(warm: Proxy, run: Run) -> None:
    await tenants.change_tenant(warm.admin, warm.tenant_id, store_prompts=False)
    before = await warm.admin.fetch("select * from router.tenants")
    for arguments, answer in (([], "n\n"), ([], None), (["--json"], None)):
        result = await run(
            "reembed",
            "--tenant",
            "acme",
            "--to",
            REMOTE,
            *arguments,
            code=2 if answer or arguments else 1,
            answer=answer,
        )
        assert "120 memories have no stored prompt and WILL BE LOST" in result.stderr
        assert "served" not in result.stdout
    assert await warm.admin.fetch("select * from router.tenants") == before
    assert await spaces_of(warm) == {STATIC_SPACE: (120, True, False)}
    assert await ask(warm, 1) == (CHEAP, "learned")
    done = orjson.loads((await run("reembed", "--tenant", "acme", "--to", REMOTE, "--json", "--yes")).stdout)
    assert (done["rewritten"], done["lost"]) == (0, 120)
    assert await spaces_of(warm) == {}
    assert await ask(warm, 2) == (STRONG, "cold")


async def test_a_graduated_tenant_is_graduated_in_the_new_space_before_it_serves(warm: Proxy, run: Run) -> None:
    old = warm.services.spaces.own.space_id
    await maintenance.graduate(warm.admin, warm.tenant_id, old)
    await run("reembed", "--tenant", "acme", "--to", REMOTE)
    (row,) = await spaces.spaces_of(warm.admin, warm.tenant_id)
    assert (row["space"], row["memories"], row["graduated"]) == (REMOTE_SPACE, 120, True)
    assert await ask(warm, 1) == (CHEAP, "learned")
    await warm.admin.fetch("update router.memory_counts set moved_at = moved_at - interval '2 minutes'")
    assert await maintenance.sweep(warm.admin, warm.tenant_id, old)
    leaves = await warm.admin.fetch("select relname from pg_class where relname ~ '^memories_large_[0-9]+_[0-9]+$'")
    assert [leaf["relname"] for leaf in leaves] == [f"memories_large_{warm.tenant_id}_{row['space_id']}"]


async def test_the_upkeep_graduates_no_space_that_is_still_being_built(two: Spaces) -> None:
    await two.teach("a", "b")
    await two.build()
    await two.copy()
    for due in (two.old, two.new):
        rows = await two.world.owner.fetch("select * from router.chores(2, 30) where chore = 'graduate'")
        assert due in [row["space_id"] for row in rows]
        assert (two.new in [row["space_id"] for row in rows]) == (due == two.new)
        if due == two.old:
            await two.switch()


async def test_a_loss_may_be_agreed_to_by_hand(warm: Proxy, run: Run) -> None:
    await warm.admin.fetch("update router.memory_texts set prompt = null where memory_id % 2 = 0")
    result = await run("reembed", "--tenant", "acme", "--to", REMOTE, answer="y\n")
    assert "60 memories were rewritten, 60 are lost." in result.stdout
    assert await spaces_of(warm) == {REMOTE_SPACE: (60, True, False)}


async def test_moving_where_it_is_says_so_and_clears_what_an_ended_move_left(
    warm: Proxy, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:

        async def fail(*_: Any) -> int:
            raise OSError("the machine went away")

        broken.setattr(spaces, "drop", fail)
        await run("reembed", "--tenant", "acme", "--to", REMOTE, code=1)
    assert await spaces_of(warm) == {REMOTE_SPACE: (120, True, False), STATIC_SPACE: (120, False, False)}
    assert await ask(warm, 1) == (CHEAP, "learned")
    result = await run("reembed", "--tenant", "acme", "--to", REMOTE)
    assert result.stdout == f"acme is served by {REMOTE_SPACE} already.\n"
    assert await spaces_of(warm) == {REMOTE_SPACE: (120, True, False)}


async def test_an_endpoint_that_fails_leaves_the_old_embedder_serving(warm: Proxy, run: Run, upstream: Running) -> None:
    upstream.script("fake-embedder", "status=401")
    result = await run("reembed", "--tenant", "acme", "--to", REMOTE, code=1)
    assert re.fullmatch(r"pgrouter: .* answered 401\n", result.stderr)
    assert await spaces_of(warm) == {STATIC_SPACE: (120, True, False)}
    assert await warm.admin.fetch("select from router.tenants where space_id is not null") == []


async def test_a_move_can_be_given_up(warm: Proxy, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:

        async def fail(*_: Any, **__: Any) -> spaces.Left:
            raise OSError("the machine went away")

        broken.setattr(spaces, "switch", fail)
        await run("reembed", "--tenant", "acme", "--to", REMOTE, code=1)
    result = await run("reembed", "--tenant", "acme", "--to", "openai:another", code=1)
    assert f"is being rewritten for {REMOTE_SPACE} already" in result.stderr
    result = await run("reembed", "--tenant", "acme", "--stop")
    assert result.stdout == f"acme: gave up {REMOTE_SPACE}, 120 memories of which were written.\n"
    assert await spaces_of(warm) == {STATIC_SPACE: (120, True, False)}
    assert (await run("reembed", "--tenant", "acme", "--stop")).stdout == "acme: nothing was begun.\n"
    assert await ask(warm, 1) == (CHEAP, "learned")


async def test_a_graduated_space_that_is_given_up_leaves_nothing(
    warm: Proxy, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    await maintenance.graduate(warm.admin, warm.tenant_id, warm.services.spaces.own.space_id)
    with monkeypatch.context() as broken:

        async def fail(*_: Any, **__: Any) -> spaces.Left:
            raise OSError("the machine went away")

        broken.setattr(spaces, "switch", fail)
        await run("reembed", "--tenant", "acme", "--to", REMOTE, code=1)
    rows = await spaces.spaces_of(warm.admin, warm.tenant_id)
    assert {row["space"]: row["graduated"] for row in rows} == {STATIC_SPACE: True, REMOTE_SPACE: True}
    assert "120 memories of which" in (await run("reembed", "--tenant", "acme", "--stop")).stdout
    rows = await spaces.spaces_of(warm.admin, warm.tenant_id)
    assert {row["space"]: row["graduated"] for row in rows} == {STATIC_SPACE: True}


async def test_all_tenants_can_be_moved_and_those_who_would_lose_are_skipped(warm: Proxy, run: Run) -> None:
    _, key = await make_tenant(warm.admin, "beta")
    await warm.rank(LESSONS[:20], key)
    _, key = await make_tenant(warm.admin, "silent", store_prompts=False)
    await warm.rank(LESSONS[:20], key)
    await make_tenant(warm.admin, "zero")
    rows = orjson.loads((await run("reembed", "--all", "--to", REMOTE, "--json")).stdout)
    assert {row["tenant"]: row["rewritten"] for row in rows} == {"acme": 120, "beta": 20, "silent": 0, "zero": 0}
    assert [row["tenant"] for row in rows if row.get("skipped")] == ["silent"]
    found = {tenant.name: tenant for tenant in await tenants.tenants(warm.admin)}
    assert {name: tenant.space for name, tenant in found.items()} == {
        "acme": REMOTE_SPACE, "beta": REMOTE_SPACE, "silent": None, "zero": REMOTE_SPACE
    }  # fmt: skip
    assert {name: tenant.memories for name, tenant in found.items()} == {
        "acme": 120, "beta": 20, "silent": 20, "zero": 0
    }  # fmt: skip


async def test_a_tenant_whom_somebody_else_moves_keeps_no_other_from_being_moved(warm: Proxy, run: Run) -> None:
    _, key = await make_tenant(warm.admin, "beta")
    await warm.rank(LESSONS[:20], key)
    await spaces.build(warm.admin, warm.tenant_id, await spaces.register_space(warm.admin, "third", 384))
    result = await run("reembed", "--all", "--to", REMOTE, "--json")
    first, second = orjson.loads(result.stdout)
    assert (first["tenant"], second["tenant"]) == ("acme", "beta")
    assert "is being rewritten for third already" in first["skipped"]
    assert (second["rewritten"], "skipped" in second) == (20, False)
    assert "acme is skipped: " in result.stderr
    assert "acme: skipped, the memory of tenant acme is" in (await run("reembed", "--all", "--to", REMOTE)).stdout


async def test_an_old_space_that_is_in_use_again_is_left_alone(
    warm: Proxy, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: Any) -> int:
        raise Conflict("space 1 of tenant 1 is in use.")

    monkeypatch.setattr(spaces, "drop", refuse)
    await run("reembed", "--tenant", "acme", "--to", REMOTE)
    assert await spaces_of(warm) == {REMOTE_SPACE: (120, True, False), STATIC_SPACE: (120, False, False)}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--to", REMOTE], "--tenant"),
        (["--to", REMOTE, "--tenant", "acme", "--all"], "--tenant"),
        (["--tenant", "acme"], "--to"),
        (["--tenant", "acme", "--stop", "--to", REMOTE], "--to"),
        (["--all", "--to", "word2vec"], "--to 'word2vec': choose static"),
        (["--tenant", "nobody", "--to", REMOTE], "There is no tenant 'nobody'"),
    ],
)
async def test_what_cannot_be_meant_is_refused_by_name(run: Run, arguments: list[str], complaint: str) -> None:
    result = await asyncio.to_thread(CliRunner().invoke, main, ["reembed", *arguments])
    assert result.exit_code
    assert complaint in result.stderr


# Proxies.


async def test_tenants_of_different_embedders_are_served_by_one_process(warm: Proxy, run: Run) -> None:
    _, key = await make_tenant(warm.admin, "beta")
    await warm.rank(LESSONS, key)
    await run("reembed", "--tenant", "beta", "--to", REMOTE)
    for seed in range(3):
        assert await ask(warm, seed) == (CHEAP, "learned")
        assert await ask(warm, seed, key) == (CHEAP, "learned")


async def test_a_process_that_cannot_have_the_embedder_serves_the_default_and_says_why_once(
    warm: Proxy, run: Run, proxies: ProxyFactory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await run("reembed", "--tenant", "acme", "--to", REMOTE)
    monkeypatch.delenv("ROUTER_EMBEDDING_URL")
    async with proxies() as other:
        for seed in range(3):
            assert await ask(other, seed) == (STRONG, "embedding_failed")
        said = [record.message for record in caplog.records if REMOTE_SPACE in record.message]
        assert len(said) == 1
        assert "ROUTER_EMBEDDING_API_KEY" in said[0]
        assert (await get(other, "status"))["embedder"] == REMOTE_SPACE
        async with (
            other.http() as http,
            http.post("/v1/router/preferences/rank", json={"prompt": "p", "scores": {CHEAP: 1}}) as response,
        ):
            assert response.status == 503
            assert "ROUTER_EMBEDDING_API_KEY" in (await response.text())
    assert await spaces_of(warm) == {REMOTE_SPACE: (120, True, False)}


async def test_teaching_that_began_before_the_switch_ends_in_the_new_space(
    warm: Proxy, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = memory.record
    refused = 0

    async def late(*arguments: Any) -> Any:
        nonlocal refused
        if not refused:
            refused = 1
            await run("reembed", "--tenant", "acme", "--to", REMOTE)
        return await record(*arguments)

    monkeypatch.setattr(memory, "record", late)
    await warm.rank([{"prompt": "just in time", "scores": {CHEAP: 1}}])
    assert await spaces_of(warm) == {REMOTE_SPACE: (121, True, False)}


async def test_a_tenant_left_behind_by_another_setting_is_told_the_command_that_helps(
    warm: Proxy, run: Run, proxies: ProxyFactory, upstream: Running
) -> None:
    async with proxies(embedder=REMOTE, embedding_url=upstream.url, embedding_deadline=5.0) as other:
        assert await ask(other, 1) == (STRONG, "cold")
        (policy,) = (await get(other, "status"))["policies"]
        command = re.search(r"pgrouter (reembed .*)", policy["next_step"])
        assert command, policy
        await run(*command[1].replace("'", "").split())
        assert await ask(other, 2) == (CHEAP, "learned")
    assert await ask(warm, 3) == (CHEAP, "learned")


async def test_a_tenant_left_behind_by_a_folder_is_told_a_command_that_works(
    warm: Proxy, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Folder(StaticEmbedder):
        name = "onnx-0123456789ab-384"

    make = embedders._embedder

    def of_folder(settings: Settings, width: int) -> Embedder:
        return Folder() if settings.embedder == "minilm:/folder" else make(settings, width)

    monkeypatch.setattr(embedders, "_embedder", of_folder)
    monkeypatch.setenv("ROUTER_EMBEDDER", "minilm:/folder")
    (row,) = orjson.loads((await run("status", "--json")).stdout)
    command = re.search(r"pgrouter (reembed .*)", row["next_step"])
    assert command, row
    arguments = command[1].replace("'", "").split()
    assert arguments[-1] == Folder.name
    monkeypatch.delenv("ROUTER_EMBEDDER")
    refused = await run(*arguments, code=1)
    assert "set ROUTER_EMBEDDER=minilm:/path/to/that/folder" in refused.stderr
    monkeypatch.setenv("ROUTER_EMBEDDER", "minilm:/folder")
    result = await run(*arguments)
    assert f"Every proxy needs for {Folder.name}: ROUTER_EMBEDDER=minilm:/folder." in result.stderr
    assert await spaces_of(warm) == {Folder.name: (120, True, False)}


# Files.


def more(path: Path) -> str:
    """A file of four lessons."""
    path.write_bytes(b"".join(orjson.dumps({"prompt": f"more {i}", "scores": {CHEAP: 1}}) + b"\n" for i in range(4)))
    return str(path)


async def test_a_file_for_another_embedder_than_the_memorys_is_refused_with_what_helps(
    warm: Proxy, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tenants.change_tenant(warm.admin, warm.tenant_id, memory_cap=120)
    file = more(tmp_path / "more.jsonl")
    monkeypatch.setenv("ROUTER_EMBEDDER", REMOTE)
    refused = await run("import", file, "--tenant", "acme", code=1)
    assert f"acme is taught with {STATIC_SPACE}: set ROUTER_EMBEDDER to that (static), or " in refused.stderr
    assert await spaces_of(warm) == {STATIC_SPACE: (120, True, False)}
    command = re.search(r"`pgrouter (reembed .*)`", refused.stderr)
    assert command, refused.stderr
    await run(*command[1].split())
    await run("import", file, "--tenant", "acme")
    assert list(await spaces_of(warm)) == [REMOTE_SPACE]


async def test_a_file_whose_tenant_is_moved_meanwhile_is_to_be_imported_again(
    warm: Proxy, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teach = Staging.teach
    file = more(tmp_path / "more.jsonl")

    async def late(*arguments: Any) -> Any:
        await run("reembed", "--tenant", "acme", "--to", REMOTE)
        return await teach(*arguments)

    with monkeypatch.context() as meddled:
        meddled.setattr(Staging, "teach", late)
        refused = await run("import", file, "--tenant", "acme", code=1)
    assert f"acme was moved to another embedder meanwhile, and nothing of {file} is taught: run the" in refused.stderr
    assert await spaces_of(warm) == {REMOTE_SPACE: (120, True, False)}
    await run("import", file, "--tenant", "acme")
    assert await spaces_of(warm) == {REMOTE_SPACE: (124, True, False)}

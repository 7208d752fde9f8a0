"""The command `pgrouter reembed`: a tenant is served by its memory before, during and after."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from app.store import maintenance, spaces, tenants
from app.store import memories as memory
from app.store.database import Database
from scripts.fake_provider.server import Running
from tests.support.proxy import CHEAP, STRONG, Proxy
from tests.support.spaces import REMOTE, REMOTE_SPACE, STATIC_SPACE, Run, Spaces, ask, get, spaces_of


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


async def test_a_tenant_that_stores_no_prompts_is_asked_before_it_loses_memories(warm: Proxy, run: Run) -> None:
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


async def test_maintenance_graduates_no_space_that_is_still_being_built(two: Spaces) -> None:
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


async def test_a_move_to_the_current_embedder_changes_nothing_and_clears_an_abandoned_move(
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
    assert result.stdout == f"acme is already served by {REMOTE_SPACE}.\n"
    assert await spaces_of(warm) == {REMOTE_SPACE: (120, True, False)}

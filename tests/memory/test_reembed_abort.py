"""Moves to another embedder that fail, are abandoned, skipped or refused."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from app.cli import main
from app.errors import Conflict
from app.store import maintenance, spaces, tenants
from scripts.fake_provider.server import Running
from tests.support.proxy import CHEAP, Proxy, make_tenant
from tests.support.spaces import LESSONS, REMOTE, REMOTE_SPACE, STATIC_SPACE, Run, ask, spaces_of


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
    assert result.stdout == f"acme: abandoned the move to {REMOTE_SPACE}, deleted 120 memories of it.\n"
    assert await spaces_of(warm) == {STATIC_SPACE: (120, True, False)}
    assert (await run("reembed", "--tenant", "acme", "--stop")).stdout == "acme: there is no move to abandon.\n"
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
    assert "deleted 120 memories" in (await run("reembed", "--tenant", "acme", "--stop")).stdout
    rows = await spaces.spaces_of(warm.admin, warm.tenant_id)
    assert {row["space"]: row["graduated"] for row in rows} == {STATIC_SPACE: True}


async def test_all_tenants_can_be_moved_and_those_that_would_lose_memories_are_skipped(warm: Proxy, run: Run) -> None:
    _, key = await make_tenant(warm.admin, "beta")
    await warm.rank(LESSONS[:20], key)
    _, key = await make_tenant(warm.admin, "silent", store_prompts=False)
    await warm.rank(LESSONS[:20], key)
    await make_tenant(warm.admin, "zero")
    rows = orjson.loads((await run("reembed", "--all", "--to", REMOTE, "--json")).stdout)
    assert {row["tenant"]: row["rewritten"] for row in rows} == {"acme": 120, "beta": 20, "silent": 0, "zero": 0}
    assert [row["tenant"] for row in rows if row.get("skipped")] == ["silent"]
    found = {tenant.name: tenant for tenant in await tenants.list_tenants(warm.admin)}
    assert {name: tenant.space for name, tenant in found.items()} == {
        "acme": REMOTE_SPACE, "beta": REMOTE_SPACE, "silent": None, "zero": REMOTE_SPACE
    }  # fmt: skip
    assert {name: tenant.memories for name, tenant in found.items()} == {
        "acme": 120, "beta": 20, "silent": 20, "zero": 0
    }  # fmt: skip


async def test_a_tenant_that_another_process_moves_does_not_stop_the_others(warm: Proxy, run: Run) -> None:
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

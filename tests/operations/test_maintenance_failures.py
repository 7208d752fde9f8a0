"""A failed job keeps no other job from running."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from app.errors import DatabaseUnavailable
from app.operations.maintenance import Step, maintain
from app.store import maintenance as store
from app.store.database import Database
from app.store.errors import translate_errors
from tests.support.graduation import lessons
from tests.support.maintenance import kept, talk, told
from tests.support.sql_world import World


async def test_a_tenant_deleted_meanwhile_does_not_end_the_round(world: World, app: Database) -> None:
    tenants = [await world.tenant(name) for name in ("one", "two", "three")]
    for tenant in tenants:
        await world.teach(tenant, *lessons(25, world))
    steps: list[Step] = []
    async for step in maintain(app, None, graduate_at=20, ledger_days=90):
        if step.job.name == "graduate":
            if not steps:
                await world.owner.execute("select router.delete_tenant($1)", tenants[1])
            steps.append(step)
    assert [(step.job.tenant, step.outcome, step.note) for step in steps] == [
        ("one", "done", ""),
        ("two", "busy", "the tenant no longer exists"),
        ("three", "done", ""),
    ]


@pytest.fixture
async def refusing(world: World) -> AsyncIterator[Callable[[str], Awaitable[None]]]:
    """Make the server fail with this SQLSTATE when conversations are forgotten."""

    async def refuse(code: str) -> None:
        await world.owner.execute(
            f"""
            create function public.refuse() returns trigger language plpgsql
            as $$ begin raise exception 'no more' using errcode = '{code}'; end; $$;
            create trigger refused before delete on router.conversations execute function public.refuse();
            """
        )

    yield refuse
    await world.owner.execute("drop function if exists public.refuse cascade")


#: The server is reachable but aborted a call: cancelled or too slow, out of memory, disk full.
REASONS = {"57014": "no more", "53200": "it lacks resources", "53100": "its disk is full"}
GIVEN_UP = list(REASONS)


@pytest.mark.parametrize("code", GIVEN_UP)
async def test_a_job_that_the_server_cancels_does_not_stop_the_others(
    world: World, app: Database, refusing: Callable[[str], Awaitable[None]], code: str
) -> None:
    await talk(world, await world.tenant("talker"), 1, seconds=1)
    await world.teach(await world.tenant(), *lessons(25, world))
    await refusing(code)
    steps = await kept(app)
    assert told(steps) == [("expire_conversations", "failed", 0), ("graduate", "done", 25)]
    # Messages about resources have paths of files: only the log has them.
    shown = "no more" if code == "57014" else f"an internal error with SQLSTATE {code}"
    assert steps[0].note == f"SQLSTATE {code}: {shown}"


@pytest.mark.parametrize("code", GIVEN_UP)
async def test_a_call_that_the_server_cancels_does_not_mark_the_database_as_away(app: Database, code: str) -> None:
    for _ in range(5):
        with pytest.raises(DatabaseUnavailable, match=rf"aborted the call \({REASONS[code]}\): try again"):
            await app.fetch(f"do $$ begin raise exception 'no more' using errcode = '{code}'; end $$")
        assert app.available
    assert (await app.fetch("select 1"))[0][0] == 1


@pytest.mark.parametrize("code", GIVEN_UP)
async def test_a_call_of_a_session_that_the_server_cancels_is_the_same_error(app: Database, code: str) -> None:
    async with app.session() as connection:
        with (
            pytest.raises(DatabaseUnavailable, match=rf"aborted the call \({REASONS[code]}\): try again"),
            translate_errors(),
        ):
            await connection.execute(f"do $$ begin raise exception 'no more' using errcode = '{code}'; end $$")


async def test_a_server_that_is_away_ends_the_round(
    world: World, app: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await talk(world, await world.tenant(), 1, seconds=1)

    async def unplugged(db: Database, limit: int) -> int:
        monkeypatch.undo()
        await app.close()
        return await store.expire_conversations(db, limit)

    monkeypatch.setattr(store, "expire_conversations", unplugged)
    with pytest.raises(DatabaseUnavailable):
        await kept(app)

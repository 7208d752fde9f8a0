"""The width of the embedding column."""

from __future__ import annotations

import asyncpg
import pytest

from app.operations.migrate import migrate
from tests.support.schema import catalog, fetch


def test_the_width_is_chosen_at_the_first_migration(empty_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTER_EMBEDDING_DIMENSIONS", "64")
    migrate(empty_database)
    monkeypatch.delenv("ROUTER_EMBEDDING_DIMENSIONS")
    assert "column memories.embedding 10 halfvec(64)" in "\n".join(catalog(empty_database))
    assert fetch(empty_database, "select router.embedding_width()")[0][0] == 64
    with pytest.raises(asyncpg.CheckViolationError, match="spaces_dimensions_check"):
        fetch(empty_database, "select router.register_space('wide', 65)")


def test_the_width_is_384_by_default(database: str) -> None:
    assert fetch(database, "select router.embedding_width()")[0][0] == 384


@pytest.mark.parametrize("width", ["0", "-1", "3073", "wide", "", "1.5", "²"])
def test_a_width_that_is_none_is_refused_by_name(
    empty_database: str, monkeypatch: pytest.MonkeyPatch, width: str
) -> None:
    monkeypatch.setenv("ROUTER_EMBEDDING_DIMENSIONS", width)
    with pytest.raises(SystemExit, match="ROUTER_EMBEDDING_DIMENSIONS"):
        migrate(empty_database)


@pytest.mark.parametrize("width", [384, 768, 769, 3072])
def test_a_memory_that_is_full_of_labels_fits_into_the_index(
    empty_database: str, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("ROUTER_EMBEDDING_DIMENSIONS", str(width))
    migrate(empty_database)
    covered = fetch(empty_database, "select pg_get_indexdef('router.memories_small_scan'::regclass)")[0][0]
    assert ("INCLUDE" in covered) is (width <= 768)
    fetch(
        empty_database,
        f"""
        with labels as (
            -- 64 labels of models with high numbers, and digits that do not compress.
            select array_agg(case when i % 31 = 0 and i > 16 then random()::real end order by i) as given
            from generate_series(1, 2000) as i
        ),
        tenant as (select router.create_tenant('t') as id),
        space as (select router.register_space('s', {width}) as id)
        insert into router.memories_small (
            tenant_id, memory_id, created_at, space_id, prompt_tokens, quality, completion_tokens, embedding
        )
        select tenant.id, 1, now(), space.id, 1, given, given,
            (select array_agg(random() order by i) from generate_series(1, {width}) as i)::halfvec({width})
        from labels, tenant, space
        """,
    )
    assert fetch(empty_database, "select cardinality(array_remove(quality, null)) from router.memories")[0][0] == 64
    with pytest.raises(asyncpg.CheckViolationError, match="memories_labels_check"):
        fetch(empty_database, "update router.memories_small set quality = array_fill(1, array[65])")

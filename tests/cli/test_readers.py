"""The commands `pgrouter reader`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.support.commands import Command, complaint, printed, with_database


@pytest.fixture
def looker(database: str) -> Iterator[str]:
    """A role of Postgres without grants."""
    name = "Looker of " + database.rpartition("/")[2]

    def say(statement: str) -> None:
        asyncio.run(with_database(database, lambda db: db.fetch(statement)))

    say(f'create role "{name}"')
    yield name
    say(f'drop role "{name}"')


def test_a_reader_is_granted_listed_and_revoked(acme: Command, looker: str) -> None:
    assert acme("reader", "grant", looker, "acme").stdout == f"{looker} may read tenant acme.\n"
    assert acme("reader", "grant", looker, "acme").stdout == f"{looker} may read tenant acme already.\n"
    (row,) = [row for row in printed(acme("reader", "list", "--json")) if row["role"] == looker]
    assert row == {"role": looker, "every": False, "tenants": ["acme"], "member": True}
    acme("reader", "grant", looker, "--all")
    assert f"{looker}  all" in acme("reader", "list").stdout
    assert "reads every tenant: revoke that" in complaint(acme("reader", "revoke", looker, "acme", code=1))
    assert "may no longer read any tenant" in acme("reader", "revoke", looker, "--all").stdout
    assert "was not granted tenant acme" in complaint(acme("reader", "revoke", looker, "acme", code=1))
    assert f"{looker}  nothing" in acme("reader", "list").stdout


def test_an_error_of_a_reader_command_names_what_is_wrong(acme: Command, looker: str) -> None:
    assert 'there is no role "no one"' in complaint(acme("reader", "grant", "no one", "acme", code=1))
    assert "There is no tenant 'nobody'" in complaint(acme("reader", "grant", looker, "nobody", code=1))
    assert "no grant limits what it sees" in complaint(acme("reader", "grant", "router_app", "acme", code=1))
    for arguments in ((looker,), (looker, "acme", "--all")):
        assert "give either one tenant or --all" in acme("reader", "grant", *arguments, code=2).stderr

"""What the commands share: the database and the embedder they work with, how they print, and how an error reads."""

from __future__ import annotations

import asyncio
import errno
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import date, datetime
from typing import Annotated, Any, TypeVar

import asyncpg
import orjson
import typer
from typer.core import TyperGroup

from app import embedder, postgres
from app.cli.aligned import aligned
from app.embedder import CachedEmbedder, EmbeddingFailed
from app.errors import ConfigurationError, NotFound, RouterError
from app.settings import Settings
from app.store import memory, tenancy
from app.store.database import Database
from app.store.tenancy import Tenant

T = TypeVar("T")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

#: What people run into, by the constraint's name.
_BROKEN = {
    "tenants_name_key": "there is a tenant of that name already; `pgrouter tenant list` shows them",
    "tenants_name_check": (
        "a tenant's name has 1 to 100 letters, digits, spaces or any of _.@- and begins with a letter or digit"
    ),
    "tenants_base_check": "a tenant leans on another's memory, not on its own",
    "policies_name_check": (
        "a policy's name has 1 to 100 letters, digits or any of _.:/- and begins with a letter or digit"
    ),
    "policies_tenant_fkey": "there is no such tenant any more",
    "providers_name_check": "a provider needs a name",
    "providers_base_url_check": "a base URL begins with http:// or https:// and ends before /chat/completions",
    "models_name_check": "a model's name has 1 to 200 characters, no control characters and no spaces around it",
    "models_upstream_name_check": "a model needs a name upstream",
}


class Command(TyperGroup):
    """The `pgrouter` command: what can be expected to go wrong is one line on stderr and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (ConfigurationError, RouterError, EmbeddingFailed, asyncpg.PostgresError, OSError) as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise  # `pgrouter export | head`: typer leaves quietly
            typer.echo(f"pgrouter: {said(error)}", err=True)
            raise typer.Exit(1) from None


def said(error: Exception) -> str:
    """An error as one sentence for people."""
    if isinstance(error, RouterError):
        return error.message
    if isinstance(error, asyncpg.IntegrityConstraintViolationError) and error.constraint_name:
        return f"{_BROKEN.get(error.constraint_name, str(error).splitlines()[0])}."
    if isinstance(error, asyncpg.InsufficientPrivilegeError):
        return f"{str(error).splitlines()[0]}: this command needs the login that owns the schema `router`."
    if isinstance(error, asyncpg.PostgresError):
        return f"Postgres: {' '.join(str(error).split())}."
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}."
    return str(error)


def dsn() -> str:
    """DATABASE_URL, or the DSN of the embedded cluster of PGROUTER_HOME while that runs; else `ConfigurationError`."""
    settings = Settings.from_environment()
    found = settings.database_url or postgres.dsn_of(settings.home)
    if found is None:
        raise ConfigurationError(
            f"No database: DATABASE_URL is not set, and no Postgres of pgrouter runs in {settings.home}. "
            "Start it with `pgrouter serve`, or set DATABASE_URL."
        )
    return found


def with_database(work: Callable[[Database], Awaitable[T]]) -> T:
    """What `work` makes of the database, with the login's own rights; its schema is one that this version knows."""

    async def run() -> T:
        db = Database(dsn(), size=2, role=None)
        await db.open()
        try:
            await db.check_revision()
            return await work(db)
        finally:
            await db.close()

    return asyncio.run(run())


async def tenant_of(db: Database, name: str) -> Tenant:
    """The tenant of that name. Raises `NotFound`."""
    found = await tenancy.tenants(db, name)
    if not found:
        raise NotFound(f"There is no tenant {name!r}; `pgrouter tenant list` shows them.")
    return found[0]


@asynccontextmanager
async def embedder_of(db: Database, space: str | None = None) -> AsyncIterator[tuple[CachedEmbedder, int]]:
    """The embedder of a space, None: that of a proxy with this environment; and the space's number."""
    settings, width = Settings.from_environment(), await memory.width(db)
    embedding = embedder.create(settings, width) if space is None else embedder.create_for(space, settings, width)
    try:
        yield embedding, await memory.register_space(db, embedding.space, embedding.dimensions)
    finally:
        await embedding.close()


@contextmanager
def progress(label: str, length: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr where somebody watches."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with typer.progressbar(length=length, label=label, file=sys.stderr) as bar:
        yield bar.update


def note(text: str) -> None:
    """Something people should know that is no output: it goes to stderr."""
    typer.echo(text, err=True)


def show_json(value: Any) -> None:
    """`value` as JSON on stdout, dates in ISO 8601."""
    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def show(rows: Iterable[Mapping[str, Any]], *, as_json: bool, columns: Iterable[str] = (), empty: str = "") -> None:
    """Rows on stdout: JSON with all they have, or an aligned table of `columns` (all for none); `empty` when none."""
    found = [dict(row) for row in rows]
    if as_json:
        show_json(found)
        return
    if not found:
        note(empty)
        return
    names = list(columns) or list(found[0])
    table = [names, *([_cell(row[name]) for name in names] for row in found)]
    wordy = [i for i, name in enumerate(names) if not all(isinstance(row[name], int | float | None) for row in found)]
    for line in aligned(table, left=wordy):
        typer.echo(line)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return ",".join(_cell(each) for each in value)
    return str(value)

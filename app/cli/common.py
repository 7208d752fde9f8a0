"""What the commands share: the database and the embedder they work with, how they print, and how an error reads."""

from __future__ import annotations

import asyncio
import errno
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import date, datetime
from typing import Annotated, Any, TypeVar

import orjson
import typer
from typer.core import TyperGroup

from app import embedded
from app.cli.table import aligned
from app.errors import BadRequest, ConfigurationError, DatabaseError, RouterError
from app.memory import embedders
from app.memory.embedders import CachedEmbedder, EmbeddingFailed
from app.operations.tenants import tenant_of
from app.settings import Settings
from app.store import spaces
from app.store.database import Database

__all__ = ["tenant_of"]

T = TypeVar("T")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class Command(TyperGroup):
    """The `pgrouter` command: what can be expected to go wrong is one line on stderr and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (ConfigurationError, RouterError, EmbeddingFailed, DatabaseError, OSError) as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise  # `pgrouter export | head`: typer leaves quietly
            typer.echo(f"pgrouter: {said(error)}", err=True)
            raise typer.Exit(1) from None


def said(error: Exception) -> str:
    """An error as one sentence for people."""
    if isinstance(error, RouterError | DatabaseError):
        return error.message
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}."
    return str(error)


def dsn() -> str:
    """DATABASE_URL, or the DSN of the embedded cluster of PGROUTER_HOME while that runs; else `ConfigurationError`."""
    settings = Settings.from_environment()
    found = settings.database_url or embedded.dsn_of(settings.home)
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


@contextmanager
def options(*names: str) -> Iterator[None]:
    """What is wrong with one of the fields `names`, as what is wrong with the option of that name."""
    try:
        yield
    except BadRequest as error:
        if error.param not in names:
            raise
        raise typer.BadParameter(error.message, param_hint=f"--{error.param.replace('_', '-')}") from None


@asynccontextmanager
async def embedder_of(db: Database, space: str | None = None) -> AsyncIterator[tuple[CachedEmbedder, int]]:
    """The embedder of a space, None: that of a proxy with this environment; and the space's number."""
    settings, width = Settings.from_environment(), await spaces.width(db)
    embedding = embedders.create(settings, width) if space is None else embedders.create_for(space, settings, width)
    try:
        yield embedding, await spaces.register_space(db, embedding.space, embedding.dimensions)
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

"""Helpers of the commands: database, embedder, output and error messages."""

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

from .. import embedded
from ..errors import BadRequest, ConfigurationError, DatabaseError, RouterError
from ..memory import embedders
from ..memory.embedders import CachedEmbedder, EmbeddingFailed
from ..operations.tenants import tenant_of
from ..settings import Settings
from ..store import spaces
from ..store.database import Database
from .table import aligned

__all__ = ["tenant_of"]

T = TypeVar("T")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class Command(TyperGroup):
    """The `pgrouter` command: an expected error is one line on stderr and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command, and print expected errors."""
        try:
            return super().invoke(ctx)
        except (ConfigurationError, RouterError, EmbeddingFailed, DatabaseError, OSError) as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise  # `pgrouter export | head`: typer exits without a message
            typer.echo(f"pgrouter: {message_of(error)}", err=True)
            raise typer.Exit(1) from None


def message_of(error: Exception) -> str:
    """The message of an expected error, on one line."""
    if isinstance(error, RouterError | DatabaseError):
        return error.message
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}."
    return str(error)


def dsn() -> str:
    """DATABASE_URL, else the DSN of the embedded Postgres if it runs, else `ConfigurationError`."""
    settings = Settings.from_environment()
    found = settings.database_url or embedded.dsn_of(settings.home)
    if found is None:
        raise ConfigurationError(
            f"DATABASE_URL is not set, and no embedded Postgres runs in {settings.home}: set the variable, or start "
            "the embedded Postgres with `pgrouter serve`."
        )
    return found


def with_database(work: Callable[[Database], Awaitable[T]]) -> T:
    """Run `work` on the database with the rights of the login, and return its result.

    Raises `ConfigurationError` if the schema is not the one of this version.
    """

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
    """Raise a `BadRequest` about one of the fields `names` as `typer.BadParameter` about the option of that name."""
    try:
        yield
    except BadRequest as error:
        if error.param not in names:
            raise
        raise typer.BadParameter(error.message, param_hint=f"--{error.param.replace('_', '-')}") from None


@asynccontextmanager
async def embedder_of(db: Database, space: str | None = None) -> AsyncIterator[tuple[CachedEmbedder, int]]:
    """The embedder of `space`, None: of a proxy with this environment; and the number of its space."""
    settings, width = Settings.from_environment(), await spaces.width(db)
    embedding = embedders.create(settings, width) if space is None else embedders.create_for(space, settings, width)
    try:
        yield embedding, await spaces.register_space(db, embedding.space, embedding.dimensions)
    finally:
        await embedding.close()


@contextmanager
def progress(label: str, length: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on stderr, if that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with typer.progressbar(length=length, label=label, file=sys.stderr) as bar:
        yield bar.update


def note(text: str) -> None:
    """Print a notice to stderr."""
    typer.echo(text, err=True)


def show_json(value: Any) -> None:
    """Print `value` to stdout as JSON, dates in ISO 8601."""
    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def show(rows: Iterable[Mapping[str, Any]], *, as_json: bool, columns: Iterable[str] = (), empty: str = "") -> None:
    """Print rows to stdout: as JSON, or as a table of `columns`, none: all. If there are no rows, print `empty`."""
    found = [dict(row) for row in rows]
    if as_json:
        show_json(found)
        return
    if not found:
        note(empty)
        return
    names = list(columns) or list(found[0])
    table = [names, *([_cell(row[name]) for name in names] for row in found)]
    text_columns = [
        i for i, name in enumerate(names) if not all(isinstance(row[name], int | float | None) for row in found)
    ]
    for line in aligned(table, left=text_columns):
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

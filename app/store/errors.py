"""Translates errors of asyncpg into the classes of `app.errors`."""

from __future__ import annotations

import logging
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg

from ..errors import (
    BadRequest,
    Cause,
    ConfigurationError,
    Conflict,
    DatabaseError,
    DatabaseUnavailable,
    InsufficientMemory,
    InvalidValue,
    NotFound,
    OperatorOnly,
    PermissionDenied,
    RouterError,
    RowConflict,
)

NO_SERVER = "The routing memory cannot be reached."
NO_PRIMARY = (
    "The routing memory's primary cannot be reached: nothing can be taught or changed until it is back "
    "or another server is promoted."
)

READ_ONLY = (
    "The database accepts no writes: it is a standby, or its host has set default_transaction_read_only, for example "
    "because the disk is full. Until it does, nothing can be taught, changed or recorded."
)

#: Errors that `sql/` raises, by SQLSTATE.
REFUSALS: dict[str, type[RouterError]] = {
    "RT001": NotFound,  # no such tenant
    "RT002": NotFound,  # no such policy
    "RT003": BadRequest,  # no such model or provider
    "RT004": BadRequest,  # a model without a price
    "RT005": BadRequest,  # too many task tags
    "RT007": Conflict,  # another space serves or is being built
    "RT008": InsufficientMemory,  # a target that the memory does not support
    "RT009": BadRequest,  # a role that cannot be a reader
    "RT010": InsufficientMemory,  # too few memories that label every candidate
    "RT011": Conflict,  # a price that is still needed
    "RT012": BadRequest,  # a tenant that shares no memory
    "RT013": NotFound,  # no such key of the tenant
    "RT014": BadRequest,  # no such scope of keys
    "RT015": NotFound,  # no such change of a policy
    "RT016": Conflict,  # a change of a policy that cannot be undone, for instance because the policy changed since
    "RT017": OperatorOnly,  # a change of a policy that a tenant may not undo
}

#: Classes of SQLSTATEs that concern the server's files, configuration or memory, and not the statement.
INTERNAL = ("53", "58", "F0", "XX")

log = logging.getLogger("pgrouter.store")

#: Messages for violated constraints, by name.
CONSTRAINTS = {
    "tenants_name_key": "A tenant of this name already exists; `pgrouter tenant list` lists the tenants.",
    "tenants_name_check": (
        "A tenant's name has 1 to 100 letters, digits, spaces or any of _.@- and begins with a letter or digit."
    ),
    "tenants_base_check": "A tenant cannot be its own base: name another tenant.",
    "policies_name_check": (
        "A policy's name has 1 to 100 letters, digits or any of _.:/- and begins with a letter or digit."
    ),
    "policies_tenant_fkey": "The tenant no longer exists.",
    "providers_name_check": "The provider's name is empty: a provider needs a name.",
    "providers_base_url_check": "A base URL begins with http:// or https:// and ends before /chat/completions.",
    "providers_key_variable_check": (
        "A provider's key variable is an environment variable with a name like NAME_API_KEY."
    ),
    "models_name_check": "A model's name has 1 to 200 characters, no control characters and no surrounding spaces.",
    "models_upstream_name_check": "The model's upstream name is empty: a model needs an upstream name.",
    "models_settings_check": "A model has at most 16 settings of 4,096 bytes; no value is an object or null.",
    "models_settings_names_check": "The name of a setting has letters, digits, _ and -, with up to three dots.",
    "models_settings_fields_check": "A setting changes what is asked, not how it is answered.",
    "models_settings_upstream_check": (
        "Settings need a name of their own: add a model of another name, with this one as its upstream name."
    ),
    "models_provider_fkey": (
        "The provider still serves models, perhaps disabled ones: move them to another provider first."
    ),
}


class NoWritableServer(ConnectionError):
    """None of several servers accepts writes, but one answers."""


#: Errors of a call that say nothing against its statement: it may succeed later.
UNAVAILABLE = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the server had closed the idle connection
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
)
#: The cause of an SQLSTATE, by its longest prefix. A standby cancels statements with 40001 to replay the primary's
#: deletions in time.
CAUSES: dict[str, Cause] = {
    "08": "lost",
    "25006": "read_only",
    "25P03": "lost",
    "40": "serialization",
    "40P01": "lock",
    "53": "aborted",
    "53300": "connect",
    "55P03": "lock",
    "57": "lost",
    "57014": "timeout",
    "57P03": "connect",
}


def cause_of(error: BaseException, *, connected: bool) -> Cause:
    """Return why a call failed, by the SQLSTATE and by whether it had a connection."""
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        cause = CAUSES.get(state) or CAUSES.get(state[:2]) or "error"
        # While it connects, a server that reports something answers; a connection that breaks off does not.
        return cause if connected or state[:2] == "08" else "connect"
    if isinstance(error, TimeoutError):
        return "timeout" if connected else "connect"
    if isinstance(error, NoWritableServer):
        return "read_only"
    if isinstance(error.__cause__, asyncpg.PostgresError):
        # One of several servers answered.
        return "connect"
    return "lost" if connected else "unreachable"


def unavailable(error: BaseException, cause: Cause, message: str) -> DatabaseUnavailable:
    """Return the error for the caller: `message`, or if the server aborted the call, why."""
    if cause == "read_only" and message == NO_SERVER:
        message = READ_ONLY
    if cause == "aborted" and isinstance(error, asyncpg.PostgresError):
        # Postgres's own message has the path of a file; only the log has it.
        log.error("Postgres lacks resources: SQLSTATE %s: %s", error.sqlstate, error)
        reason = "its disk is full" if isinstance(error, asyncpg.DiskFullError) else "it lacks resources"
        message = f"The routing memory aborted the call ({reason}): try again later."
    elif isinstance(error, asyncpg.PostgresError) and cause in ("timeout", "lock", "serialization"):
        message = f"The routing memory aborted the call ({error.message}): try again."
    return DatabaseUnavailable(message, cause=cause)


def translate(error: asyncpg.PostgresError) -> DatabaseError:
    """Convert an error of Postgres to a class of `app.errors`, with its SQLSTATE and a message for people."""
    reported = (str(error).splitlines() or [type(error).__name__])[0]
    state = error.sqlstate or ""
    if isinstance(error, asyncpg.InsufficientPrivilegeError):
        sentence = f"{reported}: set DATABASE_URL to a login that owns the schema `router`."
        return PermissionDenied(sentence, state, reported)
    kind = DatabaseError
    if isinstance(error, asyncpg.UniqueViolationError | asyncpg.ForeignKeyViolationError):
        kind = RowConflict
    elif isinstance(error, asyncpg.IntegrityConstraintViolationError | asyncpg.DataError):
        kind = InvalidValue
    if isinstance(error, asyncpg.IntegrityConstraintViolationError) and error.constraint_name:
        return kind(CONSTRAINTS.get(error.constraint_name, f"{reported}."), state, reported)
    if state[:2] in INTERNAL:
        # These messages have paths of files and names of hosts.
        log.error("Postgres failed: SQLSTATE %s: %s", state, reported)
        reported = f"an internal error with SQLSTATE {state}"
        return kind(f"Postgres: {reported}; the log has the details.", state, reported)
    return kind(f"Postgres: {' '.join(str(error).split())}.", state, reported)


def reported_by_server(error: BaseException) -> DatabaseError | None:
    """Return the server's error behind `error`; None if the server was not reached."""
    cause = error.__cause__
    if isinstance(cause, asyncpg.PostgresError) and not isinstance(cause, asyncpg.PostgresConnectionError):
        return translate(cause)
    return None


@contextmanager
def configuration_errors(problem: str) -> Iterator[None]:
    """Raise errors of the connection or the database as `ConfigurationError`: `problem`, then their message."""
    try:
        yield
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        raise ConfigurationError(f"{problem}: {error}") from error


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise Postgres's errors as in `REFUSALS` or as `DatabaseError`, lost connections as `DatabaseUnavailable`."""
    try:
        yield
    except asyncpg.ReadOnlySQLTransactionError as error:
        raise DatabaseUnavailable(READ_ONLY, cause="read_only") from error
    except UNAVAILABLE as error:
        if isinstance(error, ValueError):
            raise
        raise unavailable(error, cause_of(error, connected=True), NO_SERVER) from error
    except asyncpg.PostgresError as error:
        refusal = REFUSALS.get(error.sqlstate or "")
        if refusal is None:
            raise translate(error) from error
        raise refusal(f"{error.message}.", param=error.column_name) from error


async def or_unavailable(function: str, answer: Coroutine[Any, Any, list[Any]]) -> list[Any]:
    """Await a query that routing can do without: log every database error and raise `DatabaseUnavailable`."""
    try:
        return await answer
    except DatabaseError as error:
        log.error("%s failed with SQLSTATE %s", function, error.sqlstate)
        raise DatabaseUnavailable(f"Postgres could not answer {function}.", cause="error") from error

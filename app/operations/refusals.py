"""What Postgres refuses in administration, as sentences for people and as errors with a status."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from app.errors import BadRequest, ConfigurationError, Conflict, Forbidden

#: What people run into, by the constraint's name.
BROKEN = {
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
    "models_provider_fkey": "it still serves models, maybe disabled ones; let another provider serve them first",
}


def said(error: asyncpg.PostgresError) -> str:
    """An error of Postgres as one sentence."""
    if isinstance(error, asyncpg.IntegrityConstraintViolationError) and error.constraint_name:
        return f"{BROKEN.get(error.constraint_name, str(error).splitlines()[0])}."
    if isinstance(error, asyncpg.InsufficientPrivilegeError):
        return f"{str(error).splitlines()[0]}: this needs the login that owns the schema `router`."
    return f"Postgres: {' '.join(str(error).split())}."


@contextmanager
def answered() -> Iterator[None]:
    """What an operator got wrong, as `BadRequest`, `Conflict` or `Forbidden` instead of the error it comes as."""
    try:
        yield
    except ConfigurationError as error:
        raise BadRequest(str(error)) from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise Forbidden(
            f"{str(error).splitlines()[0]}: to administer, the login of DATABASE_URL has to own the schema `router`.",
            code="forbidden",
        ) from error
    except (asyncpg.UniqueViolationError, asyncpg.ForeignKeyViolationError) as error:
        raise Conflict(_sentence(error)) from error
    except (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError) as error:
        raise BadRequest(_sentence(error)) from error


def _sentence(error: asyncpg.PostgresError) -> str:
    text = said(error)
    return text[:1].upper() + text[1:]

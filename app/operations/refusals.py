"""Raises what an operator got wrong as errors with an HTTP status."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import BadRequest, ConfigurationError, Conflict, Forbidden, InvalidValue, PermissionDenied, RowConflict


@contextmanager
def http_errors() -> Iterator[None]:
    """Raise an operator's mistake as `BadRequest`, `Conflict` or `Forbidden` instead of the error it comes as."""
    try:
        yield
    except ConfigurationError as error:
        raise BadRequest(str(error)) from error
    except PermissionDenied as error:
        raise Forbidden(error.message, code="forbidden") from error
    except RowConflict as error:
        raise Conflict(error.message) from error
    except InvalidValue as error:
        raise BadRequest(error.message) from error

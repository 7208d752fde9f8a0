"""The errors of the HTTP API, each with its status and its body in OpenAI's format.

RouterError
├── BadRequest            400  a field is missing, of the wrong type or out of range
├── Unauthorized          401  the key is missing, malformed, unknown, revoked or expired
├── BudgetSpent           402  the budget of the key or its tenant has too little left for this request
├── Forbidden             403  the key may not use that model, or the database's login may not administer
│   └── OperatorOnly      403  the key's tenant may not do this, an operator may
├── NotFound              404  no such model, policy, memory or decision for this tenant
├── Conflict              409  the data of the call changed in the meantime; nothing was done
├── TooLarge              413  the body is over the limit
├── UnsupportedEncoding   415  the body has a Content-Encoding that the router cannot unpack
├── InsufficientMemory    422  the tenant's memory cannot support the request: too few memories, or too high a target
├── Busy                  429  the process already runs a call of this kind
├── RateLimited           429  the key or its tenant has reached its requests or tokens per minute
├── UpstreamUnavailable   502  no provider answered (504 after a timeout)
├── DatabaseUnavailable   503  Postgres cannot be reached or cannot serve the call, and the call needs it
├── LimitsUnchecked       503  Postgres is busy, so the limits of the caller could not be checked in time
├── Overloaded            503  the process holds as many bytes of request bodies as it may
└── ShuttingDown          503  the process stopped before the answer was complete

A routing step that cannot decide raises none of these: it declines, and the default model serves the request.
"""

from __future__ import annotations

from math import ceil
from typing import Any, ClassVar, Literal


class RouterError(Exception):
    """An error with the fields of OpenAI's error object.

    `message` is for people, `code` for programs; `param` names the invalid field of the body (`scores.gpt-4o`,
    `messages[0].content`) or the header. `headers` are sent with the response.
    """

    status: int = 500
    type: ClassVar[str] = "server_error"
    default_code: ClassVar[str | None] = None

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code if code is not None else self.default_code
        self.headers: dict[str, str] = {}

    def body(self) -> dict[str, Any]:
        """Return the response body: `{"error": {"message", "type", "param", "code"}}`."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}


class BadRequest(RouterError):
    """A field of the request is missing, of the wrong type or out of range; `param` names it."""

    status = 400
    type = "invalid_request_error"


class Unauthorized(RouterError):
    """The API key is missing, malformed, unknown, revoked or expired."""

    status = 401
    type = "invalid_request_error"
    default_code = "invalid_api_key"


class BudgetSpent(RouterError):
    """A budget of the key or its tenant is too low for this request; `Retry-After` gives the seconds to its renewal."""

    status = 402
    type = "insufficient_quota"
    default_code = "insufficient_quota"

    def __init__(self, message: str, *, seconds: float) -> None:
        super().__init__(message)
        self.headers["retry-after"] = str(ceil(seconds))


class Forbidden(RouterError):
    """The key is valid but lacks the permission."""

    status = 403
    type = "invalid_request_error"
    default_code = "model_not_allowed"


class OperatorOnly(Forbidden):
    """A tenant's key may not do this; an operator of the router may."""

    default_code = "operator_only"


class NotFound(RouterError):
    """The tenant has nothing of that name. Names of other tenants give the same error, so that they stay hidden."""

    status = 404
    type = "invalid_request_error"
    default_code = "not_found"


class Conflict(RouterError):
    """The data of the call changed in the meantime and nothing was done; a retry may succeed."""

    status = 409
    type = "invalid_request_error"
    default_code = "conflict"


class TooLarge(RouterError):
    """The request body is over `ROUTER_MAX_BODY_BYTES`."""

    status = 413
    type = "invalid_request_error"
    default_code = "request_too_large"


class UnsupportedEncoding(RouterError):
    """The body has a `Content-Encoding` that the router cannot unpack; `Accept-Encoding` lists those that it can."""

    status = 415
    type = "invalid_request_error"
    default_code = "unsupported_content_encoding"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.headers["accept-encoding"] = "gzip, deflate, zstd"


class Overloaded(RouterError):
    """The process holds as many bytes of request bodies as `ROUTER_BODY_MEMORY_BYTES` allows."""

    status = 503
    type = "server_error"
    default_code = "overloaded"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.headers["retry-after"] = "1"


class InsufficientMemory(RouterError):
    """The tenant's memory cannot support the request: it has too few memories, or the target is too high."""

    status = 422
    type = "invalid_request_error"
    default_code = "unsupported_by_memory"


class Busy(RouterError):
    """The process already runs a call of this kind; `Retry-After` gives the seconds to wait."""

    status = 429
    type = "rate_limit_error"
    default_code = "busy"

    def __init__(self, message: str, *, seconds: float) -> None:
        super().__init__(message)
        self.headers["retry-after"] = str(ceil(seconds))


class RateLimited(RouterError):
    """The limit of requests or tokens per minute is reached; `Retry-After` gives the seconds to wait.

    `seconds` None: the request alone is over the limit, and `x-should-retry: false` keeps OpenAI's clients from
    retrying.
    """

    status = 429
    default_code = "rate_limit_exceeded"

    def __init__(self, message: str, *, kind: str, seconds: float | None) -> None:
        super().__init__(message)
        self.kind = kind
        if seconds is None:
            self.headers["x-should-retry"] = "false"
        else:
            self.headers["retry-after"] = str(ceil(seconds))
            self.headers["retry-after-ms"] = str(ceil(seconds * 1000))

    def body(self) -> dict[str, Any]:
        """Return the response body with OpenAI's type of the limit: `requests` or `tokens`."""
        body = super().body()
        body["error"]["type"] = self.kind
        return body


class UpstreamUnavailable(RouterError):
    """No provider answered. After a timeout (`timed_out`) the status is 504.

    `invalid`: the provider sent what is no answer of its API, and would send it again.
    """

    status = 502
    type = "upstream_error"
    default_code = "upstream_unavailable"

    def __init__(self, message: str, *, timed_out: bool = False, invalid: bool = False) -> None:
        super().__init__(message, code="upstream_timeout" if timed_out else None)
        self.timed_out = timed_out
        self.invalid = invalid
        if timed_out:
            self.status = 504

    @property
    def outcome(self) -> str:
        """The outcome of the attempt that ended so: a label of metrics."""
        return "timeout" if self.timed_out else "invalid" if self.invalid else "unreachable"


#: Why Postgres did not serve a call: a value of `DatabaseUnavailable.cause`.
Cause = Literal[
    "unreachable",  # no server answers
    "pool",  # no connection of this process was free in time
    "connect",  # the server answers but admits no connection: it is full, starts or stops
    "timeout",  # the statement took too long
    "lost",  # the connection was lost during the call
    "lock",  # a lock was not available, or a deadlock
    "serialization",  # the transaction conflicted with another one
    "read_only",  # the server accepts no writes
    "aborted",  # the server is short of memory, disk or another resource
    "error",  # the server reported an error, which is logged
]


class DatabaseUnavailable(RouterError):
    """Postgres cannot be reached or cannot serve the call, and the call needs it."""

    status = 503
    type = "server_error"
    default_code = "memory_unavailable"

    def __init__(self, message: str, *, cause: Cause = "error") -> None:
        super().__init__(message)
        self.cause: Cause = cause


class LimitsUnchecked(RouterError):
    """Postgres is too busy to check the caller's limits; `Retry-After` gives the seconds to wait.

    `uncertain`: whether the request may have been reserved nevertheless.
    """

    status = 503
    default_code = "limits_unchecked"

    def __init__(self, message: str, *, seconds: float, uncertain: bool) -> None:
        super().__init__(message)
        self.uncertain = uncertain
        self.headers["retry-after"] = str(ceil(seconds))


class ShuttingDown(RouterError):
    """The process stopped, and the answer was not complete at the end of the grace period."""

    status = 503
    default_code = "shutting_down"


class ConfigurationError(Exception):
    """The configuration is invalid; the message names the variable or command that corrects it."""


class SchemaError(ConfigurationError):
    """The database's schema is not that of this version; the message may name roles and objects, `summary` does not."""

    def __init__(self, message: str, summary: str) -> None:
        super().__init__(message)
        self.summary = summary


class DatabaseError(Exception):
    """Postgres rejected a statement for a reason that none of the classes above names; over HTTP it is a 500.

    `message` is a sentence for operators, `sqlstate` the code of five characters, `reported` the first line of what
    Postgres reported.
    """

    def __init__(self, message: str, sqlstate: str, reported: str) -> None:
        super().__init__(message)
        self.message = message
        self.sqlstate = sqlstate
        self.reported = reported


class InvalidValue(DatabaseError):
    """A value violates a constraint or is outside the range of its type (SQLSTATE classes 22 and 23)."""


class RowConflict(InvalidValue):
    """A row of this key exists already (23505), or a row that is referred to is missing or still needed (23503)."""


class PermissionDenied(DatabaseError):
    """The login of DATABASE_URL lacks the privilege for a statement (42501)."""

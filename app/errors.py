"""What can go wrong, as classes: each knows its HTTP status and says itself in OpenAI's shape.

RouterError
├── BadRequest            400  a field is missing, of the wrong type or out of range
├── Unauthorized          401  the key is missing, malformed, unknown, revoked or expired
├── BudgetSpent           402  the budget of the key or its tenant leaves nothing for this request
├── Forbidden             403  the key may not use that model, or the database's login may not administer
├── NotFound              404  no such model, policy, memory or decision for this tenant
├── Conflict              409  what the call relied on changed meanwhile; nothing was done
├── TooLarge              413  the body is over the limit
├── Unsupported           422  the tenant's memory does not bear what is asked: too little of it, or a target too high
├── Busy                  429  the process is at work on the like already
├── RateLimited           429  the key or its tenant has used up a minute's requests or tokens
├── UpstreamUnavailable   502  no provider answered (504 when the time ran out)
├── DatabaseUnavailable     503  Postgres cannot be reached and the call needs it
└── ShuttingDown          503  the process ends before the answer did

A routing step that cannot decide is none of these: it declines, and the request is served.
"""

from __future__ import annotations

from math import ceil
from typing import Any, ClassVar


class RouterError(Exception):
    """An error with the fields of OpenAI's error object.

    `message` is for people, `param` names the offending field in the body (`scores.gpt-4o`, `messages[0].content`)
    or header, `code` is for programs. `headers` go out with the response.
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
        """The response body: `{"error": {"message", "type", "param", "code"}}`."""
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
    """A budget of the key or of its tenant leaves nothing for this request; it renews in so many `seconds`."""

    status = 402
    type = "insufficient_quota"
    default_code = "insufficient_quota"

    def __init__(self, message: str, *, seconds: float) -> None:
        super().__init__(message)
        self.headers["retry-after"] = str(ceil(seconds))


class Forbidden(RouterError):
    """The key is a good one, and may not do this."""

    status = 403
    type = "invalid_request_error"
    default_code = "model_not_allowed"


class NotFound(RouterError):
    """Nothing of that name belongs to this tenant; another tenant's is as absent as one that never was."""

    status = 404
    type = "invalid_request_error"
    default_code = "not_found"


class Conflict(RouterError):
    """What the call relied on changed meanwhile, and nothing was done; asked again it may work."""

    status = 409
    type = "invalid_request_error"
    default_code = "conflict"


class TooLarge(RouterError):
    """The request body is over `ROUTER_MAX_BODY_BYTES`."""

    status = 413
    type = "invalid_request_error"
    default_code = "request_too_large"


class InsufficientMemory(RouterError):
    """The memory does not bear what is asked of it: there is too little, or the target is out of its reach."""

    status = 422
    type = "invalid_request_error"
    default_code = "unsupported_by_memory"


class Busy(RouterError):
    """The process does the like for somebody already; `Retry-After` says when to ask again, in seconds."""

    status = 429
    type = "rate_limit_error"
    default_code = "busy"

    def __init__(self, message: str, *, seconds: float) -> None:
        super().__init__(message)
        self.headers["retry-after"] = str(ceil(seconds))


class RateLimited(RouterError):
    """A minute's `requests` or `tokens` are used up; `Retry-After` says when to ask again.

    `seconds` None: never, the request asks for more than a minute has, and OpenAI's clients are told not to try.
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
        """The response body, of the type that OpenAI gives it: `requests` or `tokens`."""
        body = super().body()
        body["error"]["type"] = self.kind
        return body


class UpstreamUnavailable(RouterError):
    """No provider could be reached; `timed_out` makes it 504."""

    status = 502
    type = "upstream_error"
    default_code = "upstream_unavailable"

    def __init__(self, message: str, *, timed_out: bool = False) -> None:
        super().__init__(message, code="upstream_timeout" if timed_out else None)
        self.timed_out = timed_out
        if timed_out:
            self.status = 504


class DatabaseUnavailable(RouterError):
    """Postgres cannot be reached, and the call cannot be answered without it."""

    status = 503
    type = "server_error"
    default_code = "memory_unavailable"


class ShuttingDown(RouterError):
    """The process is told to stop, and the answer was not through when its patience ended."""

    status = 503
    default_code = "shutting_down"


class ConfigurationError(Exception):
    """The process cannot start as it is configured; the message names the variable or the command that mends it."""


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

"""How the process logs: lines of text or of JSON, with the request they belong to, and nothing that a client said.

Prompts and keys do not get into what the router logs itself. What other packages log at debug level is theirs to
choose (some versions of the `openai` package log whole requests), and so is the message of an error that passes through
(asyncpg quotes the argument it cannot encode): the former is left out at every level, of the latter the kind is shown,
not the message, unless it is of a kind that never quotes anybody.
"""

from __future__ import annotations

import logging
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import orjson

from app.errors import ConfigurationError
from app.telemetry.request_record import RequestRecord

#: The request that is being served; empty outside of any.
REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")

#: Errors whose messages are about the machine or the code.
_HARMLESS = (OSError, ImportError, AttributeError, NameError, MemoryError, RecursionError, ConfigurationError)
#: What every record has; the rest was given as `extra`.
_OWN = frozenset((*vars(logging.makeLogRecord({})), "message", "asctime", "request_id"))

_access = logging.getLogger("pgrouter.access")

ErrorInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def configure(level: str, form: str, *, access: bool) -> None:
    """Log to stderr from now on: what pgrouter says from `level` on, what others say from warnings on.

    `access`: a line for each request in `pgrouter.access`, whatever `level` is.
    """
    handler = logging.StreamHandler()
    handler.addFilter(_tell_request)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    wanted = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(handlers=[handler], level=max(wanted, logging.WARNING), force=True)
    logging.getLogger("pgrouter").setLevel(wanted)
    _access.setLevel(logging.INFO if access else logging.CRITICAL)


def access(finished: RequestRecord) -> None:
    """The line of a request that is over."""
    if _access.isEnabledFor(logging.INFO):
        said = {
            "request_id": finished.request_id,
            "route": finished.route,
            "status": finished.status,
            "tenant": finished.tenant,
            "requested": finished.requested if finished.served is not None else None,
            "model": finished.served,
            "provider": finished.provider,
            "reason": finished.reason,
            "decision": finished.decision,
            "ms": round(finished.duration * 1000, 2),
            "overhead_ms": None if finished.overhead is None else round(finished.overhead * 1000, 2),
            "input_tokens": finished.input_tokens,
            "output_tokens": finished.output_tokens,
            "attempts": len(finished.attempts),
            "streamed": finished.streamed,
            "error": finished.error,
        }
        _access.info(
            "%s %d", finished.route, finished.status, extra={key: v for key, v in said.items() if v is not None}
        )


class TextLines(logging.Formatter):
    """A line for people; what belongs to it follows as `name=value`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (logging's name)
        """The line without an error's trace."""
        line = super().formatMessage(record)
        return line + "".join(f" {name}={_plain(value)}" for name, value in _belonging(record).items())

    def formatException(self, ei: ErrorInfo) -> str:  # noqa: N802
        """An error's trace, with the messages that quote nobody."""
        return trace(ei[1])


class JsonLines(logging.Formatter):
    """An object a line: time (UTC), level, logger, message, request_id, what belongs to it, and an error's trace."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_belonging(record),
        }
        if record.exc_info:
            line["error"] = trace(record.exc_info[1])
        return orjson.dumps(line, default=str).decode()


def trace(error: BaseException | None) -> str:
    """Where an error came from, and of what kind it and its causes are; messages only where they quote nobody."""
    parts: list[str] = []
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        message = f": {error}" if isinstance(error, _HARMLESS) else ""
        state = getattr(error, "sqlstate", None)
        message += f" (SQLSTATE {state})" if isinstance(state, str) else ""
        frames = "".join(traceback.format_tb(error.__traceback__))
        parts.append(f"{frames}{type(error).__module__}.{type(error).__qualname__}{message}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\ncaused by\n".join(parts)


def _tell_request(record: logging.LogRecord) -> bool:
    if not hasattr(record, "request_id"):
        record.request_id = REQUEST_ID.get()
    return True


def _belonging(record: logging.LogRecord) -> dict[str, Any]:
    request_id = getattr(record, "request_id", "")
    extra = {name: value for name, value in vars(record).items() if name not in _OWN}
    return {"request_id": request_id, **extra} if request_id else extra


def _plain(value: object) -> str:
    text = str(value)
    return f'"{text}"' if " " in text else text

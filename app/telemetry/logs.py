"""Configures logging: lines of text or JSON with the request id, and without text of clients.

The router never logs prompts or keys. Other packages may: some versions of `openai` log whole requests at debug level,
so other packages' records below warning are dropped. Error messages may quote an argument (asyncpg quotes one that it
cannot encode), so an error is logged by its class; its message is logged only for classes that quote no arguments.
"""

from __future__ import annotations

import logging
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import orjson

from ..errors import ConfigurationError
from .request_record import RequestRecord

#: Id of the current request; empty outside of requests.
REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")

#: Errors whose messages are about the machine or the code and never quote a client.
_SAFE = (OSError, ImportError, AttributeError, NameError, MemoryError, RecursionError, ConfigurationError)
#: Attributes of every log record; all others were given as `extra`.
_STANDARD = frozenset((*vars(logging.makeLogRecord({})), "message", "asctime", "request_id"))

_access = logging.getLogger("pgrouter.access")

ErrorInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def configure(level: str, form: str, *, access: bool) -> None:
    """Log to stderr: pgrouter's records from `level` on, other packages' from warning on.

    `form`: json or text. `access`: log a line per request to `pgrouter.access`, whatever `level` is.
    """
    handler = logging.StreamHandler()
    handler.addFilter(_add_request_id)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    number = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(handlers=[handler], level=max(number, logging.WARNING), force=True)
    logging.getLogger("pgrouter").setLevel(number)
    _access.setLevel(logging.INFO if access else logging.CRITICAL)


def access(record: RequestRecord) -> None:
    """Log the line of a request that has ended."""
    if _access.isEnabledFor(logging.INFO):
        served = record.served
        fields = {
            "request_id": record.request_id,
            "route": record.route,
            "status": record.status,
            "tenant": record.tenant,
            "requested": None if served is None else record.requested,
            "model": None if served is None else served.name,
            "provider": None if served is None else served.provider.name,
            "reason": record.reason,
            "decision": None if served is None else str(record.decision_id),
            "ms": round((record.duration or 0.0) * 1000, 2),
            "overhead_ms": None if record.overhead is None else round(record.overhead * 1000, 2),
            "input_tokens": record.usage.prompt_tokens,
            "output_tokens": record.usage.completion_tokens,
            "attempts": len(record.attempts),
            "streamed": record.streamed,
            "error": record.error,
        }
        _access.info("%s %d", record.route, record.status, extra={key: v for key, v in fields.items() if v is not None})


class TextLines(logging.Formatter):
    """Formats a record as a line of text, with its `extra` as `name=value`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (logging's name)
        """Return the line without the traceback."""
        line = super().formatMessage(record)
        return line + "".join(f" {name}={_quoted(value)}" for name, value in _extra(record).items())

    def formatException(self, ei: ErrorInfo) -> str:  # noqa: N802
        """Return the traceback, with messages of safe errors only."""
        return trace(ei[1])


class JsonLines(logging.Formatter):
    """Formats a record as a JSON object: time (UTC), level, logger, message, request_id, `extra`, traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_extra(record),
        }
        if record.exc_info:
            line["error"] = trace(record.exc_info[1])
        return orjson.dumps(line, default=str).decode()


def trace(error: BaseException | None) -> str:
    """Return the traceback and class of an error and its causes, with the messages of safe errors only."""
    parts: list[str] = []
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        message = f": {error}" if isinstance(error, _SAFE) else ""
        state = getattr(error, "sqlstate", None)
        message += f" (SQLSTATE {state})" if isinstance(state, str) else ""
        frames = "".join(traceback.format_tb(error.__traceback__))
        parts.append(f"{frames}{type(error).__module__}.{type(error).__qualname__}{message}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\ncaused by\n".join(parts)


def _add_request_id(record: logging.LogRecord) -> bool:
    if not hasattr(record, "request_id"):
        record.request_id = REQUEST_ID.get()
    return True


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    request_id = getattr(record, "request_id", "")
    extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    return {"request_id": request_id, **extra} if request_id else extra


def _quoted(value: object) -> str:
    text = str(value)
    return f'"{text}"' if " " in text else text

"""What the environment says about this process, read once and frozen; routing policy lives in rows, not here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from app.errors import ConfigurationError

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Settings:
    """The process's own facts, times in seconds and sizes in bytes; `from_environment` names each field's variable."""

    database_url: str | None = field(default=None, repr=False)
    home: Path = Path(".pgrouter")
    demo: bool = False
    host: str = "127.0.0.1"
    port: int = 8000
    routing: bool = True
    embedder: str = "static"
    embedding_url: str | None = None
    embedding_cache: int = 20_000
    embedding_deadline: float = 1.0
    decision_deadline: float = 0.5
    connect_timeout: float = 5.0
    first_byte_timeout: float = 600.0
    idle_timeout: float = 600.0
    total_timeout: float = 3600.0
    retries: int = 2
    retry_wait: float = 5.0
    hedge: float = 0.0
    keepalive: float = 0.0
    other_paths: bool = True
    max_body: int = 20 * MEBIBYTE
    pool_size: int = 8
    ledger_queue: int = 10_000
    drain: float = 5.0
    maintain_seconds: int = 60
    graduate_at: int = 6_000
    ledger_days: int = 90
    workers: int = 1
    log_level: str = "info"
    log_format: str = "text"
    access_log: bool = False
    admin_key: str | None = field(default=None, repr=False)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read `environ`; a value that cannot be understood raises `ConfigurationError` naming its variable."""
        reader = _Reader(environ)
        backend = reader.choice("ROUTER_BACKEND", "knn", BACKENDS)
        default = cls()
        return cls(
            database_url=reader.text("DATABASE_URL"),
            home=Path(reader.text("PGROUTER_HOME") or default.home).expanduser().absolute(),
            host=reader.text("HOST") or default.host,
            port=reader.integer("PORT", default.port, 0, 65535),
            routing=backend != "none",
            embedder=reader.text("ROUTER_EMBEDDER") or default.embedder,
            embedding_url=reader.text("ROUTER_EMBEDDING_URL"),
            embedding_cache=reader.integer("ROUTER_EMBEDDING_CACHE", default.embedding_cache, 0, 10_000_000),
            embedding_deadline=reader.number("ROUTER_EMBEDDING_DEADLINE", default.embedding_deadline),
            decision_deadline=reader.number("ROUTER_DECISION_DEADLINE", default.decision_deadline),
            connect_timeout=reader.number("ROUTER_CONNECT_TIMEOUT", default.connect_timeout),
            first_byte_timeout=reader.number("ROUTER_FIRST_BYTE_TIMEOUT", default.first_byte_timeout),
            idle_timeout=reader.number("ROUTER_IDLE_TIMEOUT", default.idle_timeout),
            total_timeout=reader.number("ROUTER_TOTAL_TIMEOUT", default.total_timeout),
            retries=reader.integer("ROUTER_RETRIES", default.retries, 0, 10),
            retry_wait=reader.number("ROUTER_RETRY_WAIT", default.retry_wait),
            hedge=reader.number("ROUTER_HEDGE_SECONDS", default.hedge, least=0),
            keepalive=reader.number("ROUTER_KEEPALIVE_SECONDS", default.keepalive, least=0),
            other_paths=reader.switch("ROUTER_OTHER_PATHS", default.other_paths),
            max_body=reader.integer("ROUTER_MAX_BODY_BYTES", default.max_body, 1024, 1024 * MEBIBYTE),
            pool_size=reader.integer("ROUTER_POOL_SIZE", default.pool_size, 1, 1000),
            ledger_queue=reader.integer("ROUTER_LEDGER_QUEUE", default.ledger_queue, 1, 10_000_000),
            drain=reader.number("ROUTER_DRAIN", default.drain),
            maintain_seconds=reader.integer("ROUTER_MAINTAIN_SECONDS", default.maintain_seconds, 0, 86_400),
            graduate_at=reader.integer("ROUTER_GRADUATE_AT", default.graduate_at, 1, 1_000_000_000),
            ledger_days=reader.integer("ROUTER_LEDGER_DAYS", default.ledger_days, 1, 36_500),
            workers=reader.integer("ROUTER_WORKERS", default.workers, 1, MOST_WORKERS),
            log_level=reader.choice("LOG_LEVEL", default.log_level, LOG_LEVELS),
            log_format=reader.choice("LOG_FORMAT", default.log_format, LOG_FORMATS),
            access_log=reader.switch("ROUTER_ACCESS_LOG", default.access_log),
            admin_key=reader.secret("ROUTER_ADMIN_KEY", SHORTEST_KEY),
        )


#: A master key that can be guessed gives everything away.
SHORTEST_KEY = 32
MOST_WORKERS = 256
LOG_FORMATS = ("text", "json")
LOG_LEVELS = ("debug", "info", "warning", "error", "critical")
#: How candidates are ranked.
Backend = Literal["knn", "cheapest", "fastest", "weighted", "none"]
BACKENDS: tuple[str, ...] = get_args(Backend)


@dataclass(frozen=True, slots=True)
class _Reader:
    environ: Mapping[str, str]

    def text(self, name: str) -> str | None:
        return self.environ.get(name, "").strip() or None

    def secret(self, name: str, shortest: int) -> str | None:
        """As `text`; no message ever has it."""
        value = self.text(name)
        if value is not None and len(value) < shortest:
            raise ConfigurationError(f"{name} has {len(value)} characters: it needs at least {shortest}.")
        return value

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        value = (self.text(name) or default).lower()
        if value not in choices:
            raise ConfigurationError(f"{name}={value!r}: choose one of {', '.join(choices)}.")
        return value

    def switch(self, name: str, default: bool) -> bool:
        value = self.choice(name, "1" if default else "0", ("1", "0", "true", "false", "on", "off"))
        return value in ("1", "true", "on")

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        text = self.text(name)
        if text is None:
            return default
        try:
            value = int(text)
        except ValueError:
            raise ConfigurationError(f"{name}={text!r} is not a whole number.") from None
        if not low <= value <= high:
            raise ConfigurationError(f"{name}={value} is outside {low} to {high}.")
        return value

    def number(self, name: str, default: float, least: float = 0.001) -> float:
        text = self.text(name)
        if text is None:
            return default
        try:
            value = float(text)
        except ValueError:
            raise ConfigurationError(f"{name}={text!r} is not a number of seconds.") from None
        if not least <= value < 86_400:
            raise ConfigurationError(f"{name}={text} is outside {least:g} to 86400 seconds.")
        return value

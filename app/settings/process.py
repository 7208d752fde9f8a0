"""The table of the process's settings: each field with its environment variable, range, default and help."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

from .variables import (
    Kind,
    Variable,
    choice,
    element_names,
    folder,
    header_names,
    origins,
    seconds,
    secret,
    switch,
    text,
    whole,
)

MEBIBYTE = 1024 * 1024
#: Least length of the master key: it gives access to everything, so it must not be guessable.
SHORTEST_KEY = 32
MOST_WORKERS = 256
LOG_LEVELS = ("debug", "info", "warning", "error", "critical")
#: Methods of ranking candidates.
Backend = Literal["knn", "cheapest", "fastest", "weighted", "none"]
BACKENDS: tuple[str, ...] = get_args(Backend)

_BACKEND = choice(*BACKENDS)
_ROUTING = Kind(lambda name, given: _BACKEND.read(name, given) != "none", _BACKEND.range)


@dataclass(frozen=True, slots=True)
class Settings:
    """The process's settings, with times in seconds and sizes in bytes; `Variable` documents each field."""

    database_url: Annotated[
        str | None,
        Variable("DATABASE_URL", "database, or several servers of it; unset: an embedded one", text()),
    ] = field(default=None, repr=False)
    home: Annotated[
        Path,
        Variable(
            "PGROUTER_HOME",
            "folder of the embedded database, its log, its key, and ledger entries while a database is away",
            folder(),
        ),
    ] = Path(".pgrouter")
    #: Whether the demo tenant and its provider are served; set by `pgrouter serve`, not by the environment.
    demo: bool = False
    host: Annotated[str, Variable("HOST", "address to listen at", text())] = "127.0.0.1"
    port: Annotated[int, Variable("PORT", "port to listen at; 0: a free one", whole(0, 65535))] = 8000
    workers: Annotated[int, Variable("ROUTER_WORKERS", "processes that share the port", whole(1, MOST_WORKERS))] = 1
    admin_key: Annotated[
        str | None,
        Variable("ROUTER_ADMIN_KEY", "master key of the admin API; unset: there is no admin API", secret(SHORTEST_KEY)),
    ] = field(default=None, repr=False)
    routing: Annotated[
        bool,
        Variable("ROUTER_BACKEND", "backend of new policies; `none` turns routing off", _ROUTING, "knn"),
    ] = True
    decision_deadline: Annotated[
        float,
        Variable("ROUTER_DECISION_DEADLINE", "time for a decision; then the default model serves", seconds()),
    ] = 0.5
    admission_deadline: Annotated[
        float,
        Variable(
            "ROUTER_ADMISSION_DEADLINE",
            "time for Postgres to check limits; then a caller with limits gets 503",
            seconds(),
        ),
    ] = 5.0
    embedder: Annotated[
        str, Variable("ROUTER_EMBEDDER", "embedder: `static`, `minilm`, `minilm:/folder` or `openai:MODEL`", text())
    ] = "static"
    embedding_url: Annotated[
        str | None,
        Variable("ROUTER_EMBEDDING_URL", "endpoint of `openai:MODEL`", text(), "`OPENAI_BASE_URL`"),
    ] = None
    embedding_cache: Annotated[
        int,
        Variable("ROUTER_EMBEDDING_CACHE", "embeddings cached by each process, about 1 kB each", whole(0, 10_000_000)),
    ] = 20_000
    embedding_deadline: Annotated[
        float,
        Variable("ROUTER_EMBEDDING_DEADLINE", "time for an embedding; then the default model serves", seconds()),
    ] = 1.0
    markers: Annotated[
        tuple[str, ...],
        Variable(
            "ROUTER_PROMPT_MARKERS",
            "changes to the elements that are taken out of a prompt before it is embedded, separated by commas: `name` "
            "removes an element, `+name` only its tags, `-name` leaves it as it is, `-*` leaves all",
            element_names(),
            "",
        ),
    ] = ()
    connect_timeout: Annotated[
        float, Variable("ROUTER_CONNECT_TIMEOUT", "time for connecting to a provider, of each attempt", seconds())
    ] = 5.0
    first_byte_timeout: Annotated[
        float, Variable("ROUTER_FIRST_BYTE_TIMEOUT", "time until the answer begins, of each attempt", seconds())
    ] = 600.0
    idle_timeout: Annotated[
        float, Variable("ROUTER_IDLE_TIMEOUT", "time between two reads of an answer", seconds())
    ] = 600.0
    total_timeout: Annotated[
        float, Variable("ROUTER_TOTAL_TIMEOUT", "time for the whole request, all attempts together", seconds())
    ] = 3600.0
    retries: Annotated[int, Variable("ROUTER_RETRIES", "rounds of attempts after the first round", whole(0, 10))] = 2
    retry_wait: Annotated[float, Variable("ROUTER_RETRY_WAIT", "longest wait before another round", seconds())] = 5.0
    hedge: Annotated[
        float,
        Variable(
            "ROUTER_HEDGE_SECONDS", "time until another model is tried too, if no answer has begun; 0: off", seconds(0)
        ),
    ] = 0.0
    keepalive: Annotated[
        float,
        Variable("ROUTER_KEEPALIVE_SECONDS", "pause of a stream after which a comment is sent; 0: off", seconds(0)),
    ] = 0.0
    stream_usage: Annotated[
        bool,
        Variable(
            "ROUTER_STREAM_USAGE",
            "ask for the usage of routed chat streams (`include_usage`); 0: it is estimated if none comes",
            switch(),
        ),
    ] = True
    other_paths: Annotated[
        bool, Variable("ROUTER_OTHER_PATHS", "passthrough of other paths; 0: they are answered with 404", switch())
    ] = True
    forwarded_headers: Annotated[
        tuple[str, ...],
        Variable(
            "ROUTER_FORWARD_HEADERS",
            "further request headers that are forwarded to providers, separated by commas; `name-*`: a prefix",
            header_names(),
            "",
        ),
    ] = ()
    cors_origins: Annotated[
        tuple[str, ...],
        Variable(
            "ROUTER_CORS_ORIGINS",
            "origins whose web pages may call the API (CORS), separated by commas; `*`: all; unset: none",
            origins(),
            "",
        ),
    ] = ()
    max_body: Annotated[
        int,
        Variable(
            "ROUTER_MAX_BODY_BYTES",
            "largest request body, in bytes; larger ones are answered with 413",
            whole(1024, 1024 * MEBIBYTE),
        ),
    ] = 20 * MEBIBYTE
    body_memory: Annotated[
        int,
        Variable(
            "ROUTER_BODY_MEMORY_BYTES",
            "bytes of large request bodies that a process holds; over it requests are answered with 503",
            whole(MEBIBYTE, 1024 * 1024 * MEBIBYTE),
        ),
    ] = 256 * MEBIBYTE
    head_timeout: Annotated[
        float, Variable("ROUTER_HEAD_TIMEOUT", "time for the head of a request; then the connection ends", seconds())
    ] = 30.0
    body_timeout: Annotated[
        float,
        Variable("ROUTER_BODY_TIMEOUT", "time between two pieces of a request body; then 408", seconds()),
    ] = 60.0
    pool_size: Annotated[
        int,
        Variable("ROUTER_POOL_SIZE", "connections of each process; with standbys twice as many", whole(1, 1000)),
    ] = 8
    ledger_queue: Annotated[
        int, Variable("ROUTER_LEDGER_QUEUE", "ledger entries that may wait to be written", whole(1, 10_000_000))
    ] = 10_000
    drain: Annotated[float, Variable("ROUTER_DRAIN", "time for requests under way at shutdown", seconds())] = 5.0
    maintain_seconds: Annotated[
        int,
        Variable(
            "ROUTER_MAINTAIN_SECONDS",
            "time between two rounds of maintenance; 0: none",
            whole(0, 86_400),
        ),
    ] = 60
    graduate_at: Annotated[
        int,
        Variable(
            "ROUTER_GRADUATE_AT", "memories at which a tenant gets an HNSW index of its own", whole(1, 1_000_000_000)
        ),
    ] = 6_000
    ledger_days: Annotated[
        int, Variable("ROUTER_LEDGER_DAYS", "days for which the ledger is kept", whole(1, 36_500))
    ] = 90
    log_level: Annotated[
        str,
        Variable(
            "LOG_LEVEL",
            "least level of pgrouter's own log lines",
            choice(*LOG_LEVELS),
        ),
    ] = "info"
    log_format: Annotated[str, Variable("LOG_FORMAT", "format of log lines", choice("text", "json"))] = "text"
    access_log: Annotated[bool, Variable("ROUTER_ACCESS_LOG", "a log line for each request", switch())] = False

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read `environ`; a value that cannot be parsed raises `ConfigurationError` naming its variable."""
        values: dict[str, Any] = {"home": cls().home}
        for name, variable in variables().items():
            given = environ.get(variable.name, "").strip()
            if given:
                values[name] = variable.kind.read(variable.name, given)
        values["home"] = values["home"].expanduser().absolute()
        return cls(**values)


@cache
def variables() -> Mapping[str, Variable]:
    """The variable of each field that has one, by the field's name."""
    hints = get_type_hints(Settings, include_extras=True)
    return {
        each.name: variable
        for each in fields(Settings)
        for variable in getattr(hints[each.name], "__metadata__", ())
        if isinstance(variable, Variable)
    }

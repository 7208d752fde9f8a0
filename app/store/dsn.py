"""Reads DATABASE_URL strictly, and translates libpq's parameters for the driver."""

from __future__ import annotations

import logging
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from urllib.parse import quote, unquote

import asyncpg

from ..errors import ConfigurationError

#: Parameters that asyncpg reads as libpq does, and two that Postgres reads itself when a session starts.
DRIVER = {
    "host", "port", "dbname", "database", "user", "password", "passfile", "service", "sslmode", "sslcert", "sslkey",
    "sslrootcert", "sslcrl", "sslpassword", "sslnegotiation", "ssl_min_protocol_version", "ssl_max_protocol_version",
    "target_session_attrs", "krbsrvname", "gsslib", "application_name", "options",
}  # fmt: skip
#: Parameters of libpq (PostgreSQL 18) that asyncpg cannot express.
LIBPQ = {
    "channel_binding", "client_encoding", "fallback_application_name", "gssdelegation", "gssencmode", "hostaddr",
    "keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval", "load_balance_hosts",
    "max_protocol_version", "min_protocol_version", "oauth_client_id", "oauth_client_secret", "oauth_issuer",
    "oauth_scope", "replication", "require_auth", "requirepeer", "scram_client_key", "scram_server_key",
    "servicefile", "sslcertmode", "sslcompression", "sslcrldir", "sslkeylogfile", "sslsni", "tcp_user_timeout",
}  # fmt: skip
#: Parameters that hosts put in the URLs they display, for other clients (Prisma, node-postgres, Supabase).
OTHER_CLIENTS = {
    "connection_limit", "pgbouncer", "pool_timeout", "prepared_statements", "schema", "socket_timeout", "sslaccept",
    "sslidentity", "statement_cache_size", "supa", "uselibpqcompat",
}  # fmt: skip
#: Values of `gssencmode` and `replication` that need nothing.
_HARMLESS = {"gssencmode": ("disable", "prefer"), "replication": ("false", "off", "no", "0")}

_SCHEME = re.compile(r"postgres(ql)?://")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._~%-]*)(:[0-9]{0,5})?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,62}")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

_FORM = (
    "write postgresql://USER:PASSWORD@HOST:5432/DATABASE, and in user and password percent-encode each of "
    "% / ? # @ : [ ] (for example # as %23)"
)

log = logging.getLogger("pgrouter.store")


@dataclass(frozen=True, slots=True)
class Dsn:
    """A DSN in its decoded parts."""

    user: str | None
    password: str | None
    #: Names (or folders of Unix sockets) with their ports, "" for the default.
    hosts: tuple[tuple[str, str], ...]
    database: str
    #: The other parameters, none of them blank.
    parameters: Mapping[str, str]

    def split(self) -> list[Dsn]:
        """Return a DSN for each of the hosts."""
        return [replace(self, hosts=(host,)) for host in self.hosts] or [self]

    def text(self, *names: str) -> str:
        """Return it as a URL, with all parameters, or only those in `names`."""
        login = "" if self.user is None else quote(self.user, safe="")
        if self.password is not None:
            login += f":{quote(self.password, safe='')}"
        hosts = ",".join(
            (f"[{name}]" if ":" in name else quote(name, safe="")) + (f":{port}" if port else "")
            for name, port in self.hosts
        )
        path = f"/{quote(self.database, safe='')}" if self.database else ""
        query = "&".join(
            f"{name}={quote(value, safe='')}" for name, value in self.parameters.items() if not names or name in names
        )
        return f"postgresql://{login}{'@' if login else ''}{hosts}{path}{'?' if query else ''}{query}"

    def for_libpq(self) -> str:
        """Return it for programs that use libpq, which refuses parameters that it does not know."""
        return self.text(*(DRIVER | LIBPQ | {"connect_timeout"}))


@cache
def parse(dsn: str) -> Dsn:
    """Parse a URL; raises `ConfigurationError`, which quotes nothing that may be a part of a password."""
    found = _parse(dsn.strip())
    for name, value in found.parameters.items():
        _check(name, value)
    return found


async def connect(dsn: str, **options: Any) -> asyncpg.Connection:
    """Connect as `asyncpg.connect` does, with the parameters of libpq translated."""
    text, extra = _for_driver(dsn)
    if "connect_timeout" in extra:
        options["timeout"] = min(options.get("timeout") or 60.0, extra["connect_timeout"])
    if "application_name" in extra and "server_settings" in options:
        options["server_settings"] = {**options["server_settings"], "application_name": extra["application_name"]}
    if "ssl" in extra:
        options["ssl"] = extra["ssl"]
    return await asyncpg.connect(text, **options)


@cache
def _for_driver(dsn: str) -> tuple[str, Mapping[str, Any]]:
    """Return the DSN that asyncpg reads, and options beside it; log what has no effect."""
    found = parse(dsn)
    extra: dict[str, Any] = {}
    kept = {name: value for name, value in found.parameters.items() if name in DRIVER}
    if "application_name" in kept:
        extra["application_name"] = kept["application_name"]
    if (seconds := int(found.parameters.get("connect_timeout", "0"))) > 0:
        extra["connect_timeout"] = max(2.0, seconds)  # as libpq does
    if kept.get("sslrootcert") == "system":
        # libpq then checks the name too, in every mode.
        del kept["sslrootcert"]
        kept.pop("sslmode", None)
        extra["ssl"] = ssl.create_default_context()
    if "ssl" in found.parameters:
        kept.setdefault("sslmode", "disable" if found.parameters["ssl"].lower() in ("false", "0") else "require")
    ignored = sorted(
        name
        for name, value in found.parameters.items()
        if name in LIBPQ | OTHER_CLIENTS and value not in _HARMLESS.get(name, ())
    )
    if ignored:
        log.warning("DATABASE_URL: parameters without effect here: %s", ", ".join(ignored))
    return replace(found, parameters=kept).text(), extra


def _parse(dsn: str) -> Dsn:
    scheme = _SCHEME.match(dsn)
    if scheme is None:
        raise _unreadable("it does not begin with postgresql://")
    if "#" in dsn:
        raise _unreadable("it contains a #")
    if _CONTROL.search(dsn):
        raise _unreadable("it contains a control character or a line break")
    if _BAD_ESCAPE.search(dsn):
        raise _unreadable("it contains a % that no two hexadecimal digits follow")
    rest = dsn[scheme.end() :]
    address, question, query = rest.partition("?")
    authority, _, path = address.partition("/")
    if "@" in path or "@" in query:
        raise _unreadable("an @ comes after a / or ?")
    login, _, hosts = authority.rpartition("@")
    user, colon, password = login.partition(":")
    names = tuple(_host(each) for each in hosts.split(",")) if hosts else ()
    parameters = dict(_parameter(each) for each in query.split("&")) if question and query else {}
    parameters = {name: value for name, value in parameters.items() if value}
    if "host" in parameters and not names:
        names = _listed(parameters.pop("host"), parameters.pop("port", ""))
    parameters.pop("host", None)
    return Dsn(
        parameters.pop("user", "") or _decode(user) or None,
        parameters.pop("password", "") or (_decode(password) if colon else None),
        names,
        parameters.pop("dbname", "") or parameters.pop("database", "") or _decode(path),
        parameters,
    )


def _host(given: str) -> tuple[str, str]:
    match = _HOST.fullmatch(given)
    if match is None or (match[2] and int(match[2][1:] or 0) > 65535):
        raise _unreadable("its host or port is not valid")
    return _decode(match[1].strip("[]")), (match[2] or "")[1:]


def _listed(hosts: str, ports: str) -> tuple[tuple[str, str], ...]:
    """Return the hosts of the parameter `host`, with the ports of `port`: one for all, or one for each."""
    names, numbers = hosts.split(","), ports.split(",")
    numbers *= len(names) if len(numbers) == 1 else 1
    if len(numbers) != len(names):
        raise ConfigurationError(
            f"DATABASE_URL has {len(names)} hosts and {len(numbers)} ports: give one port, or one for each host."
        )
    if not all(not each or (each.isdecimal() and int(each) <= 65535) for each in numbers):
        raise ConfigurationError("DATABASE_URL: the parameter port is not a number from 1 to 65535.")
    return tuple(zip(names, numbers, strict=True))


def _parameter(given: str) -> tuple[str, str]:
    name, equals, value = given.partition("=")
    if not equals or not _NAME.fullmatch(name):
        raise _unreadable("what follows its ? is not a list of NAME=VALUE, separated by &")
    return name, _decode(value.replace("+", "%2B"))


def _decode(text: str) -> str:
    try:
        found = unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise _unreadable("a percent-encoded part is not UTF-8") from None
    if "\0" in found:
        raise _unreadable("it contains %00")
    return found


def _check(name: str, value: str) -> None:
    """Raise `ConfigurationError` for a parameter that is unknown, or that is known but cannot be kept."""
    if name not in DRIVER | LIBPQ | OTHER_CLIENTS | {"connect_timeout", "ssl"}:
        raise ConfigurationError(
            f"DATABASE_URL has the unknown parameter {name!r}: remove it. A setting of the server is written as "
            "options=-c%20NAME%3DVALUE."
        )
    if name in _HARMLESS and value not in _HARMLESS[name]:
        raise ConfigurationError(
            f"DATABASE_URL: {name}={value} is not supported: remove it, and encrypt with sslmode instead."
            if name == "gssencmode"
            else f"DATABASE_URL: {name}={value} is not supported: remove it."
        )
    if name == "connect_timeout" and not re.fullmatch(r"-?[0-9]{1,9}", value):
        raise ConfigurationError(f"DATABASE_URL: connect_timeout={value!r} is not a whole number of seconds.")


def _unreadable(problem: str) -> ConfigurationError:
    return ConfigurationError(f"DATABASE_URL cannot be read, because {problem}: {_FORM}.")

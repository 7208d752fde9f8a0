"""The headers that cross the router: which of a request's go to providers, and which of an answer's go to clients.

A request's headers are forwarded by an allow-list. What is on no list stays: headers about the client's network path
(`CF-Connecting-IP`, `X-Forwarded-For`, `Forwarded`, `Via`), its page (`Origin`, `Referer`, `Sec-*`), its cookies, its
credentials, and its account at a provider (`OpenAI-Organization`), which does not belong to the router's key.
"""

from __future__ import annotations

from collections.abc import Iterable

#: Headers of a single connection (RFC 9110, 7.6.1).
HOP_BY_HOP = frozenset(
    (
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade",
    )
)  # fmt: skip
#: Headers that the router writes itself, or that are credentials of the client: no setting forwards them.
NEVER_FORWARDED = HOP_BY_HOP | {
    "authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie", "host", "content-length", "expect",
    "x-router*",
}  # fmt: skip
#: Request headers that are forwarded to providers; a name with `*` at its end is a prefix.
FORWARDED = (
    # Content and its negotiation, conditional and partial requests.
    "accept", "accept-charset", "accept-encoding", "accept-language", "cache-control", "content-disposition",
    "content-encoding", "content-language", "content-range", "content-type", "if-match", "if-modified-since",
    "if-none-match", "if-range", "if-unmodified-since", "pragma", "prefer", "range",
    # Retries of one request.
    "idempotency-key", "x-idempotency-key",
    # Versions and beta features of the APIs.
    "anthropic-*", "openai-beta",
    # The client program.
    "user-agent", "x-stainless-*", "x-title",
    # Tracing.
    "b3", "traceparent", "tracestate", "x-b3-*", "x-client-request-id", "x-correlation-id", "x-request-id",
)  # fmt: skip
#: Exceptions of the prefixes above: they name the client's own account.
_ACCOUNT = ("anthropic-organization*", "anthropic-workspace*", "anthropic-account*")
#: Headers of an answer that concern the provider's own host, not the router's: cookies, transport, cross-origin access.
_OF_THE_HOST = frozenset(
    (
        "alt-svc", "clear-site-data", "expect-ct", "nel", "public-key-pins", "public-key-pins-report-only", "report-to",
        "reporting-endpoints", "set-cookie", "set-cookie2", "strict-transport-security",
    )
)  # fmt: skip
_NOT_RELAYED = frozenset(name.encode() for name in HOP_BY_HOP | _OF_THE_HOST)
_CROSS_ORIGIN = b"access-control-"
#: Values of `Connection` that name no header.
_PLAIN_CONNECTION = (b"keep-alive", b"close")
#: Names of answers' headers as providers spell them, in lower case; None: not relayed. Looked up once.
_spelled: dict[bytes, bytes | None] = {}

RawHeaders = Iterable[tuple[bytes, bytes]]


class Forwarding:
    """The allow-list of a process: `FORWARDED`, and the `more` names or prefixes of its settings."""

    def __init__(self, more: Iterable[str] = ()) -> None:
        self._never = _Names(NEVER_FORWARDED)
        self._account = _Names(_ACCOUNT)
        self._allowed = _Names(FORWARDED)
        self._more = _Names(more)

    def allows(self, name: str) -> bool:
        """Return whether a header of this lower-case name is forwarded."""
        if name in self._never:
            return False
        return name in self._more or (name in self._allowed and name not in self._account)

    def may_grant(self, name: str) -> bool:
        """Return whether a header of this name, which the settings alone forward, may grant or deny access."""
        return name not in self._allowed and self.allows(name)


class _Names:
    """A set of header names and of prefixes, which end with `*`."""

    def __init__(self, names: Iterable[str]) -> None:
        names = tuple(names)
        self._exact = frozenset(names)
        self._prefixes = tuple(name[:-1] for name in names if name.endswith("*"))

    def __contains__(self, name: str) -> bool:
        return name in self._exact or name.startswith(self._prefixes)


def named_in_connection(value: bytes) -> frozenset[bytes]:
    """Return the lower-case names that a header `Connection` lists: they are for this connection only."""
    if value.lower() in _PLAIN_CONNECTION:
        return frozenset()
    return frozenset(name.strip() for name in value.lower().split(b","))


def relayed(raw: RawHeaders) -> list[tuple[bytes, bytes]]:
    """Return a provider's headers that go to the client, with lower-case names."""
    kept = []
    hop = b""
    for name, value in raw:
        try:
            spelled = _spelled[name]
        except KeyError:
            spelled = _lower_if_relayed(name)
        if spelled is not None:
            kept.append((spelled, value))
        elif value not in _PLAIN_CONNECTION and name.lower() == b"connection":
            hop = hop + b"," + value if hop else value
    dropped = named_in_connection(hop) if hop else None
    return [each for each in kept if each[0] not in dropped] if dropped else kept


def _lower_if_relayed(name: bytes) -> bytes | None:
    lower = name.lower()
    spelled = None if lower in _NOT_RELAYED or lower.startswith(_CROSS_ORIGIN) else lower
    if len(_spelled) < 1000:
        _spelled[name] = spelled
    return spelled

"""Headers across the router: what of a request goes to the provider, and what of an answer to the client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import orjson
import pytest

from app.errors import ConfigurationError
from app.settings import Settings
from app.upstream.headers import Forwarding, relayed
from tests.support.proxy import STRONG, Proxy, ProxyFactory
from tests.support.raw_http import Asked, exchange
from tests.support.raw_provider import COMPLETION, OK, provider, served_by

#: Method and path of a routed, an explicit and a passthrough request.
WAYS = [("POST", "/v1/chat/completions", "auto"), ("POST", "/v1/chat/completions", STRONG), ("GET", "/v1/files", "")]
STAYS = [
    "CF-Connecting-IP", "CF-Ray", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Forwarded", "Via",
    "True-Client-IP", "Fly-Client-IP", "Cookie", "Origin", "Referer", "HTTP-Referer", "Sec-Fetch-Site",
    "OpenAI-Organization", "OpenAI-Project", "Anthropic-Organization-Id", "ChatGPT-Account-Id", "X-Goog-User-Project",
    "X-Amzn-Trace-Id", "X-Custom-Of-A-Company", "X-Router-Task", "Proxy-Authorization", "X-HTTP-Method-Override",
]  # fmt: skip
PASSES = [
    "Accept-Language", "Idempotency-Key", "Anthropic-Beta", "Anthropic-Version", "OpenAI-Beta", "User-Agent",
    "Tracestate", "X-Stainless-Lang", "X-Request-Id", "X-Client-Request-Id",
]  # fmt: skip


@asynccontextmanager
async def listened(proxy: Proxy, answer: bytes = OK) -> AsyncIterator[list[bytes]]:
    """A provider that keeps the heads of its requests."""
    heads: list[bytes] = []

    async def serve(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(head)
        writer.write(answer)
        await writer.drain()

    async with provider(serve) as url:
        await served_by(proxy, url)
        yield heads


def names(head: bytes) -> list[str]:
    return [line.partition(b":")[0].decode().lower() for line in head.split(b"\r\n")[1:] if line]


def request(method: str, path: str, model: str, headers: Sequence[tuple[str, str]]) -> Asked:
    body = orjson.dumps({"model": model, "messages": [{"role": "user", "content": "hi"}]}) if model else b""
    return Asked(method, path, body, tuple(headers))


@pytest.mark.parametrize(("method", "path", "model"), WAYS)
async def test_headers_of_the_callers_hop_page_and_account_stay_here(
    proxy: Proxy, method: str, path: str, model: str
) -> None:
    async with listened(proxy) as heads:
        await exchange(proxy.url, proxy.key, request(method, path, model, [(name, "1") for name in STAYS]))
    assert set(names(heads[0])) & {name.lower() for name in STAYS} == set()


@pytest.mark.parametrize(("method", "path", "model"), WAYS)
async def test_headers_of_the_request_itself_pass(proxy: Proxy, method: str, path: str, model: str) -> None:
    async with listened(proxy) as heads:
        await exchange(proxy.url, proxy.key, request(method, path, model, [(name, "1") for name in PASSES]))
    assert {name.lower() for name in PASSES} <= set(names(heads[0]))


async def test_a_setting_forwards_more_and_never_credentials(proxies: ProxyFactory) -> None:
    more = ("x-team", "x-org-*", "openai-project", "cookie", "authorization", "*")
    async with proxies(forwarded_headers=more) as proxy, listened(proxy) as heads:
        sent = [("X-Team", "a"), ("X-Org-B", "b"), ("OpenAI-Project", "p"), ("Cookie", "c=d"), ("X-Api-Key", "k")]
        await exchange(proxy.url, proxy.key, request("POST", "/v1/chat/completions", STRONG, sent))
    assert {"x-team", "x-org-b", "openai-project"} <= set(names(heads[0]))
    assert set(names(heads[0])) & {"cookie", "authorization", "x-api-key"} == set()
    assert proxy.key.encode() not in heads[0]


def test_names_of_headers_are_checked() -> None:
    read = Settings.from_environment
    assert read({"ROUTER_FORWARD_HEADERS": " X-Team, x-org-* ,"}).forwarded_headers == ("x-team", "x-org-*")
    for wrong in ("x team", "x:y", "x-*-y", "é"):
        with pytest.raises(ConfigurationError, match="ROUTER_FORWARD_HEADERS"):
            read({"ROUTER_FORWARD_HEADERS": wrong})
    assert not Forwarding(("x-router*", "te")).allows("x-router-task")


async def test_a_header_named_in_connection_ends_here(proxy: Proxy) -> None:
    async with listened(proxy) as heads:
        sent = [("Connection", "Accept-Language , x"), ("Accept-Language", "de"), ("User-Agent", "me")]
        await exchange(proxy.url, proxy.key, request("GET", "/v1/files", "", sent))
    assert "accept-language" not in names(heads[0])
    assert "user-agent" in names(heads[0])


OF_THE_HOST = [
    b"Set-Cookie: __cf_bm=1; Domain=api.openai.com", b"Set-Cookie: b=2", b"Strict-Transport-Security: max-age=1",
    b'Alt-Svc: h3=":443"', b"Access-Control-Allow-Origin: https://theirs", b"Clear-Site-Data: *", b"NEL: {}",
    b"Connection: keep-alive, X-Hop , x-other", b"X-Hop: 1", b"X-Other: 2", b"Keep-Alive: timeout=5",
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "model"), WAYS)
async def test_headers_of_the_providers_host_and_hop_stay_with_it(
    proxy: Proxy, method: str, path: str, model: str
) -> None:
    more = b"\r\n".join([*OF_THE_HOST, b"X-RateLimit-Remaining-Tokens: 5", b"CF-Ray: abc", b"X-Request-Id: theirs"])
    async with listened(proxy, COMPLETION.replace(b"\r\n\r\n", b"\r\n" + more + b"\r\n\r\n")):
        came = await exchange(proxy.url, proxy.key, request(method, path, model, ()))
    got = {name for name, _ in came.headers}
    assert got & {line.partition(b":")[0].lower() for line in OF_THE_HOST} == set()
    assert {b"x-ratelimit-remaining-tokens", b"cf-ray", b"x-request-id"} <= got


def test_several_connection_headers_count_together() -> None:
    raw = [
        (b"Connection", b"close"),
        (b"Connection", b"A"),
        (b"connection", b"b,c"),
        (b"A", b""),
        (b"C", b""),
        (b"D", b""),
    ]
    assert relayed(raw) == [(b"d", b"")]


KEYS = [
    ("Authorization: Bearer sk-ant-1", "x-api-key: {}"),
    ("Authorization: Bearer sk-ant-1", "api-key: {}"),
    ("Authorization: Bearer {}", "x-api-key: sk-ant-1"),
    ("authorization: bearer {}", "api-key: sk"),
    ("x-api-key: sk-ant-1", "api-key: {}"),
    ("Authorization: Basic dTpw", "x-api-key: {}"),
    ("Authorization: {}",),
    ("api-key: {}",),
    ("x-api-key: rk-short", "api-key: {}"),
]


async def raw(proxy: Proxy, request: str) -> bytes:
    reader, writer = await asyncio.open_connection(*urlsplit(proxy.url).netloc.split(":"))
    writer.write(request.encode())
    async with asyncio.timeout(20):
        answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize("lines", KEYS, ids=" + ".join)
async def test_of_several_credentials_the_routers_counts(proxy: Proxy, lines: tuple[str, ...]) -> None:
    head = "\r\n".join(line.format(proxy.key) for line in lines)
    for path in ("/v1/models", "/v1/router/usage"):
        answer = await raw(proxy, f"GET {path} HTTP/1.1\r\nHost: h\r\n{head}\r\nConnection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 "), answer


async def test_without_a_key_of_the_router_a_request_is_refused(proxy: Proxy) -> None:
    for head in ("Authorization: Bearer sk-1\r\nx-api-key: sk-2\r\n", "x-api-key: rk-short\r\n", "api-key: \r\n", ""):
        answer = await raw(proxy, f"GET /v1/models HTTP/1.1\r\nHost: h\r\n{head}Connection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("good", [True, False])
async def test_trailers_replace_no_header(proxy: Proxy, good: bool) -> None:
    body = orjson.dumps({"model": STRONG, "messages": [{"role": "user", "content": "hi"}]}).decode()
    first, last = (proxy.key, "rk-other") if good else ("rk-other", proxy.key)
    for path in ("/v1/chat/completions", "/v1/moderations"):
        answer = await raw(
            proxy,
            f"POST {path} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {first}\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{len(body):x}\r\n{body}\r\n0\r\n"
            f"Authorization: Bearer {last}\r\nX-Router: off\r\nContent-Type: text/x\r\n\r\n",
        )
        assert answer.startswith(b"HTTP/1.1 200 " if good else b"HTTP/1.1 401 "), answer


@pytest.mark.parametrize("keep", ["", "Connection: keep-alive\r\n"])
@pytest.mark.parametrize("stream", ["true", "false"])
async def test_http_1_0_gets_no_chunks(proxy: Proxy, stream: str, keep: str) -> None:
    body = f'{{"model":"auto","stream":{stream},"messages":[{{"role":"user","content":"hi"}}]}}'
    answer = await raw(
        proxy,
        f"POST /v1/chat/completions HTTP/1.0\r\nAuthorization: Bearer {proxy.key}\r\n{keep}"
        f"Content-Length: {len(body)}\r\n\r\n{body}",
    )
    head, _, rest = answer.partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower()
    assert b"connection: close" in head.lower()
    assert rest.endswith(b"\n\ndata: [DONE]\n\n" if stream == "true" else b"}\n")
    assert rest.startswith((b"{", b":"))


async def test_http_1_0_downloads_and_pages_have_no_chunks_either(proxy: Proxy) -> None:
    for path in ("/v1/files", "/v1/models", "/metrics", "/nothing"):
        answer = await raw(proxy, f"GET {path} HTTP/1.0\r\nAuthorization: Bearer {proxy.key}\r\n\r\n")
        assert b"transfer-encoding" not in answer.partition(b"\r\n\r\n")[0].lower()
        assert answer.partition(b"\r\n\r\n")[2]

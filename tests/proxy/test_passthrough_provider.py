"""The provider that serves a path that names no model."""

from __future__ import annotations

import asyncio

import pytest

from app.store import policies, providers
from tests.support.proxy import STRONG, Proxy
from tests.support.raw_provider import Serve, call, provider, served_by

# ---- the choice of the provider


async def says(name: str) -> Serve:
    async def serve(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = name.encode() + b" " + head.partition(b" HTTP")[0]
        key = [line for line in head.split(b"\r\n") if line.lower().startswith((b"x-api-key", b"authorization"))]
        body += b" " + b",".join(key)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()

    return serve


async def test_the_tenants_default_provider_serves_else_that_of_autos_default_model(proxy: Proxy) -> None:
    async with provider(await says("one")) as one, provider(await says("two")) as two:
        await served_by(proxy, one)
        await served_by(proxy, two, "second", speaks=("chat",))
        assert (await call(proxy, "GET", "/v1/files?a=1"))[1] == b"one GET /v1/files?a=1 "
        await proxy.admin.fetch(
            "update router.tenants set default_provider = (select provider_id from router.providers"
            " where name = 'second') where tenant_id = $1", proxy.tenant_id,
        )  # fmt: skip
        proxy.services.directory.invalidate()
        assert (await call(proxy, "GET", "/v1/files"))[1] == b"two GET /v1/files "
        assert (await call(proxy, "POST", "/v1/audio/speech", json={"model": STRONG}))[1].startswith(b"two POST")


async def test_without_either_the_only_provider_serves_and_of_several_none(proxy: Proxy) -> None:
    await policies.delete_policy(proxy.admin, proxy.tenant_id, "auto")
    proxy.services.directory.invalidate()
    assert (await call(proxy, "GET", "/v1/files"))[0] == 200
    await served_by(proxy, "http://127.0.0.1:9/v1", "second")
    status, body = await call(proxy, "GET", "/v1/files")
    assert (status, b"no default provider" in body) == (404, True)


async def test_anthropics_other_paths_go_to_a_provider_of_messages_with_the_key_in_its_header(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECOND_KEY", "sk-second")
    async with provider(await says("one")) as one, provider(await says("two")) as two:
        await served_by(proxy, one, speaks=("chat",))
        await providers.put_provider(
            proxy.admin, "second", two, "SECOND_KEY", speaks=("messages",), key_header="x-api-key"
        )
        proxy.services.directory.invalidate()
        for path in ("/v1/messages/batches", "/v1/messages/batches/msgbatch_1/cancel"):
            status, body = await call(proxy, "POST", path, json={"model": "m"}, headers={"x-api-key": "rk-another"})
            assert (status, body) == (200, f"two POST {path} x-api-key: sk-second".encode())
        assert (await call(proxy, "GET", "/v1/files"))[1].startswith(b"one GET")


async def test_anthropics_client_gets_errors_in_its_shape(proxy: Proxy) -> None:
    await served_by(proxy, "http://127.0.0.1:9/v1")
    status, body = await call(proxy, "POST", "/v1/messages/batches", json={})
    assert (status, b'"type":"api_error"' in body) == (502, True)
    status, body = await call(proxy, "GET", "/v1/files")
    assert (status, b"upstream_unavailable" in body) == (502, True)

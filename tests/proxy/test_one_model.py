"""Keys for some models: a request that a provider could read as another model's is refused."""

from __future__ import annotations

import base64

import pytest

from scripts.fake_provider.server import Running
from tests.support.proxy import Proxy, key_for_cheap

MESSAGES = '"messages":[{"role":"user","content":"the \\"model\\" is model"}]'
REFUSED = [
    '{"model":"strong","model":"cheap",%s}',
    '{"model":"cheap","model":"strong",%s}',
    '{"model":"cheap","model":"cheap",%s}',
    '{"mod\\u0065l":"strong","model":"cheap",%s}',
    '{"model":"strong", %s, "model" :\n"cheap"}',
    '{"model":"cheap","Model":"strong",%s}',
    '{"model":"cheap","MODEL":"strong",%s}',
    '{"model":"cheap","model ":"strong",%s}',
    '{"model":"cheap","ｍodel":"strong",%s}',
    '{"model":"cheap","models":["strong"],%s}',
    '{"model":"cheap","Models":["strong"],%s}',
    '{"model":"cheap","fallbacks":["strong"],%s}',
    '{"model":"cheap","model_name":"strong",%s}',
    '{"model":"cheap","engine":"strong",%s}',
    '{"model":"cheap","model":"strong","seed":1e400,%s}',
]
PASSES = [
    '{"model":"cheap",%s}',
    '{"model":"auto",%s}',
    '{"mod\\u0065l":"cheap",%s}',
    '{"model":"cheap","tools":[{"model":"x","models":[1]}],"metadata":{"model":"y"},%s}',
    '{"model":"cheap","metadata":{"model":"a","model":"b"},%s}',
    '{"model":"cheap","modalities":["text"],%s}',
]


async def asked(proxy: Proxy, key: str, body: str, query: str = "") -> int:
    data = (body % MESSAGES).encode()
    async with proxy.http(key) as http, http.post(f"/v1/chat/completions{query}", data=data) as response:
        return response.status


@pytest.mark.parametrize("body", REFUSED)
async def test_what_a_provider_could_read_differently_is_refused(proxy: Proxy, upstream: Running, body: str) -> None:
    key = await key_for_cheap(proxy)
    assert await asked(proxy, key, body) == 403
    assert upstream.log() == []
    assert await asked(proxy, proxy.key, body) != 403, "a key for all models may send it"


@pytest.mark.parametrize("body", PASSES)
async def test_one_model_is_served(proxy: Proxy, upstream: Running, body: str) -> None:
    assert await asked(proxy, await key_for_cheap(proxy), body) == 200
    assert b'"cheap"' in base64.b64decode(upstream.log()[0]["body"])


async def test_a_model_in_the_query_is_refused(proxy: Proxy, upstream: Running) -> None:
    key = await key_for_cheap(proxy)
    for query in ("?model=strong", "?Model=", "?a=b&models=x", "?deployment-id=x"):
        assert await asked(proxy, key, PASSES[0], query) == 403
    assert upstream.log() == []
    assert await asked(proxy, key, PASSES[0], "?api-version=1") == 200


async def test_anothers_answer_is_not_continued_nor_read(proxy: Proxy, upstream: Running) -> None:
    async with proxy.http() as http, http.post("/v1/responses", json={"model": "auto", "input": "hi"}) as response:
        name = (await response.json())["id"]
    _, other = await proxy.new_tenant("other")
    upstream.clear()
    for path in ("/v1/responses", "/v1/responses/input_tokens", "/v1/responses/compact"):
        for model in ("auto", "strong"):
            body = {"model": model, "input": "and?", "previous_response_id": name}
            async with proxy.http(other) as http, http.post(path, json=body) as response:
                assert response.status == 400
                assert (await response.json())["error"]["code"] == "previous_response_not_found"
    async with proxy.http(other) as http:
        for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/input_items")):
            async with http.request(method, f"/v1/responses/{name}{path}") as response:
                assert response.status == 404
    assert upstream.log() == []
    body = {"model": "auto", "input": "and?", "previous_response_id": name}
    async with proxy.http() as http, http.post("/v1/responses", json=body) as response:
        assert response.status == 200

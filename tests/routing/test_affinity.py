"""A request that continues an answer goes to the provider that stores it."""

from __future__ import annotations

import pytest

from scripts.fake_provider.server import Running
from tests.support.answers import OTHER, THIRD, call, respond
from tests.support.proxy import CHEAP, STRONG, Proxy, ProxyFactory


@pytest.mark.parametrize("first", [THIRD, "careful"])
@pytest.mark.parametrize("stream", [False, True])
async def test_what_goes_on_from_an_answer_goes_to_the_provider_that_holds_it(
    two: Proxy, upstream: Running, second: Running, first: str, stream: bool
) -> None:
    async with two.http() as http:
        body = {"model": first, "input": "hi", "stream": stream, "instructions": "x" * 9000}
        async with http.post("/v1/responses", json=body) as response:
            assert response.status == 200
            name = "resp_" + (await response.text()).partition("resp_")[2].partition('"')[0]
        assert OTHER in name
        upstream.clear()
        later = await respond(http, "auto", previous_response_id=name)
        assert (later.status, *later.by) == (200, THIRD, "sticky"), later.body
        off = await call(http, "POST", "/responses", {"model": "auto", "input": "hi", "previous_response_id": name},
                         **{"x-router": "off"})  # fmt: skip
        assert (off.status, off.by[0]) == (200, THIRD)
        assert OTHER in (await respond(http, "auto", previous_response_id=later.body["id"])).body["id"]
    assert upstream.log() == []


async def test_an_answer_of_the_default_is_gone_on_from_with_the_default(two: Proxy, second: Running) -> None:
    async with two.http() as http:
        first = await respond(http, "auto")
        assert first.by[0] == STRONG
        later = await respond(http, "auto", previous_response_id=first.body["id"])
        assert (later.status, *later.by) == (200, STRONG, "sticky")
    assert second.log() == []


async def test_an_unknown_answer_has_no_affinity(two: Proxy, second: Running) -> None:
    async with two.http() as http:
        for kept in ({"previous_response_id": "resp_never"}, {"conversation": "conv_1"}):
            said = await respond(http, "auto", **kept)
            assert said.by[0] in (STRONG, CHEAP), "of the default's provider"
    assert second.log() == []


async def test_another_process_has_the_affinity_once_it_is_in_the_ledger(
    two: Proxy, second: Running, proxies: ProxyFactory
) -> None:
    async with two.http() as http:
        name = (await respond(http, THIRD)).body["id"]
    await two.ledger()
    async with proxies() as another, another.http() as http:
        assert (await respond(http, "auto", previous_response_id=name)).by == (THIRD, "sticky")
        assert (await call(http, "GET", f"/responses/{name}")).body["id"] == name


async def test_an_answer_is_read_and_deleted_where_it_is(two: Proxy, upstream: Running, second: Running) -> None:
    async with two.http() as http:
        name = (await respond(http, THIRD)).body["id"]
        upstream.clear()
        assert (await call(http, "GET", f"/responses/{name}")).body["id"] == name
        assert (await call(http, "GET", f"/responses/{name}/input_items?limit=2")).status == 200
        assert (await call(http, "DELETE", f"/responses/{name}")).body["deleted"] is True
        assert (await call(http, "GET", f"/responses/{name}")).status == 404
    assert upstream.log() == []
    assert second.log()[1]["path"] == f"/v1/responses/{name}"


async def test_what_is_not_stored_or_went_wrong_is_not_remembered(two: Proxy) -> None:
    async with two.http() as http:
        name = (await respond(http, THIRD, store=False)).body["id"]
        assert (await respond(http, THIRD, previous_response_id="resp_never")).status == 400
        await two.ledger(2)
        assert await two.services.affinity.find(two.tenant_id, name) is None
    assert await two.admin.fetch("select * from router.responses") == []


async def test_another_tenants_answers_are_unknown(two: Proxy, second: Running) -> None:
    async with two.http() as http:
        name = (await respond(http, THIRD)).body["id"]
    await two.ledger()
    _, key = await two.new_tenant("stranger")
    second.clear()
    async with two.http(key) as http:
        await respond(http, "auto", previous_response_id=name)
        await call(http, "GET", f"/responses/{name}")
    assert second.log() == []

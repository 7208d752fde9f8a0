"""The ledger records the usage that the provider reported, in every API, streamed or not."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.support.clients import PROXIED, Front
from tests.support.proxy import STRONG, Proxy
from tests.support.raw_http import Asked, exchange

HELLO: Any = [{"role": "user", "content": "What is a café?"}]
BODIES: dict[str, dict[str, Any]] = {
    "chat/completions": {"messages": HELLO},
    "responses": {"input": HELLO},
    "messages": {"messages": HELLO, "max_tokens": 9},
    "completions": {"prompt": "What is a café?"},
}
pytestmark = pytest.mark.parametrize("shared_front", [PROXIED], indirect=True)
#: Longer than the captured beginning of an answer, and than its captured end.
LONG = "A long instruction, é. " * 10_000


@pytest.fixture
async def proxy(front: Front) -> Proxy:
    """The module's proxy, with an empty ledger."""
    assert front.proxy is not None
    await front.proxy.admin.fetch("truncate router.decisions")
    return front.proxy


def asked(api: str, plan: str = "", *, stream: bool, model: str = STRONG, **more: Any) -> Asked:
    """Return a request of that API; a stream requests its usage if the API requires it."""
    body = {"model": model, "stream": stream, **BODIES[api], **more}
    if stream and model == STRONG and api.endswith("completions"):
        body["stream_options"] = {"include_usage": True}
    return Asked("POST", f"/v1/{api}", orjson.dumps(body), (("X-Fake", plan),) if plan else ())


async def written_down(proxy: Proxy, request: Asked) -> tuple[int | None, int | None, int | None, int | None]:
    """Prompt, cached, completion and reasoning tokens of the request in the ledger."""
    assert (await exchange(proxy.url, proxy.key, request)).status == 200
    (row,) = await proxy.ledger()
    return row["prompt_tokens"], row["cached_tokens"], row["completion_tokens"], row["reasoning_tokens"]


@pytest.mark.parametrize("api", BODIES)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("plan", ["", "split=3", "gzip", "comments;crlf", "incomplete"])
async def test_tokens_are_those_that_the_provider_reported(proxy: Proxy, api: str, stream: bool, plan: str) -> None:
    found = await written_down(proxy, asked(api, plan, stream=stream))
    assert found[:3] == (11, 3, 7)


@pytest.mark.parametrize("api", BODIES)
@pytest.mark.parametrize("stream", [False, True])
async def test_reasoning_and_cached_tokens_are_separate(proxy: Proxy, api: str, stream: bool) -> None:
    assert await written_down(proxy, asked(api, "reasoning=64;cached=5", stream=stream)) == (11, 5, 71, 64)


@pytest.mark.parametrize("api", [api for api in BODIES if api != "completions"])
@pytest.mark.parametrize("plan", ["", "split=100"])
async def test_a_policys_stream_is_accounted_for_though_its_client_did_not_ask(
    proxy: Proxy, api: str, plan: str
) -> None:
    assert (await written_down(proxy, asked(api, plan, stream=True, model="auto")))[:3] == (11, 3, 7)


@pytest.mark.parametrize("api", BODIES)
@pytest.mark.parametrize("plan", ["chunks=30000", "chunks=30000;gap=0.00001;terse"])
async def test_a_long_streams_tokens_are_read_from_its_ends(proxy: Proxy, api: str, plan: str) -> None:
    assert (await written_down(proxy, asked(api, plan, stream=True, model=STRONG)))[:3] == (11, 3, 7)


async def test_a_message_whose_last_event_has_output_tokens_alone_is_counted_from_both_ends(proxy: Proxy) -> None:
    assert (await written_down(proxy, asked("messages", "terse", stream=True)))[:3] == (11, 3, 7)


@pytest.mark.parametrize("plan", ["", "gzip", "split=1000"])
async def test_a_response_that_repeats_long_instructions_is_accounted_for(proxy: Proxy, plan: str) -> None:
    request = asked("responses", plan, stream=True, instructions=LONG)
    assert (await written_down(proxy, request))[:3] == (11, 3, 7)

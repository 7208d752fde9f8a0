"""Clients that wait read comments, and then the answer or the error."""

from __future__ import annotations

import pytest

from scripts.fake_provider.server import streamed_text
from tests.support.proxy import STRONG, ProxyFactory
from tests.support.streaming_clients import CHAT, ERRORS, MESSAGES, RESPONSES, spoken

apis = pytest.mark.parametrize("api", [CHAT, RESPONSES, MESSAGES])
models = pytest.mark.parametrize("model", [STRONG, "auto"])


@apis
@models
async def test_comments_that_keep_a_connection_alive_are_passed_over(
    proxies: ProxyFactory, api: str, model: str
) -> None:
    async with proxies(keepalive=0.05) as proxy:
        text = "".join([text async for text in spoken(proxy, api, model, "delay=0.2;gap=0.1")])
    assert text == streamed_text()


@apis
async def test_a_failure_after_such_comments_is_an_error(proxies: ProxyFactory, api: str) -> None:
    async with proxies(keepalive=0.05, retries=0) as proxy:
        with pytest.raises(ERRORS):
            [text async for text in spoken(proxy, api, STRONG, "delay=0.3;status=500")]

"""Agents' requests through the proxy: routed by what the person asked, and kept with one model."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support import agents
from tests.support.agents import AGENTS
from tests.support.proxy import CHEAP, STRONG, Proxy, ProxyFactory
from tests.support.separable_prompts import easy, hard, lessons

PATHS = {"chat": "/v1/chat/completions", "responses": "/v1/responses", "messages": "/v1/messages"}


async def served(proxy: Proxy, api: str, body: dict[str, Any], **headers: str) -> tuple[str, str]:
    async with proxy.http() as http, http.post(PATHS[api], json=body, headers=headers) as response:
        assert response.status == 200, await response.text()
        return response.headers["x-router-model"], response.headers["x-router-reason"]


@pytest.mark.parametrize("agent", AGENTS)
async def test_an_agents_session_is_routed_by_its_words_and_stays(
    proxies: ProxyFactory, agent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents, "ASKS", (easy(2000), hard(2000)))
    monkeypatch.setattr(agents, "NEXT", (hard(2001), easy(2001)))
    # Long wrappers cost many times what the taught prompts cost, which would decide.
    monkeypatch.setattr(agents, "RULES", "Use tabs.")
    async with proxies(policy={"alpha": 0.3}) as proxy:
        await proxy.rank(lessons(120))
        for number, model in enumerate((CHEAP, STRONG)):
            session = AGENTS[agent](number)
            first, after_tool, later = session.bodies
            await proxy.admin.fetch("truncate router.decisions")
            assert await served(proxy, session.dialect.name, first) == (model, "learned")
            await proxy.ledger()
            assert await served(proxy, session.dialect.name, after_tool) == (model, "sticky")
            assert await served(proxy, session.dialect.name, later) == (model, "sticky")


async def test_the_clients_session_keeps_equal_openings_apart(proxy: Proxy) -> None:
    await proxy.rank(lessons(120))
    opening = [{"role": "user", "content": easy(2000)}]
    go_on = [*opening, {"role": "assistant", "content": "Hm."}, {"role": "user", "content": "Go on."}]
    header = {"X-Claude-Code-Session-Id": "s-1"}
    assert await served(proxy, "chat", {"model": "auto", "messages": opening}, **header) == (CHEAP, "learned")
    await proxy.ledger()
    await asyncio.sleep(0.1)
    assert await served(proxy, "chat", {"model": "auto", "messages": go_on}, **header) == (CHEAP, "sticky")
    assert await served(proxy, "chat", {"model": "auto", "messages": go_on}) == (CHEAP, "learned")

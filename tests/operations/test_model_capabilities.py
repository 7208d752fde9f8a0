"""Capabilities of models: read in each provider's format, and never overwriting an operator's values."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from app.cli import main
from app.entities import CAPABILITIES
from app.errors import NotFound
from app.operations import capabilities, list_prices
from app.operations.model_listing import capabilities_in
from app.store import models as registry
from app.store import providers
from app.store.database import Database
from tests.support.databases import blocking
from tests.support.operators import Operator
from tests.support.proxy import CHEAP, Proxy
from tests.support.randomness import examples

SHAPES: dict[str, tuple[Any, dict[str, Any]]] = {
    "openrouter": (
        {
            "data": [
                {
                    "id": "m",
                    "context_length": 200_000,
                    "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["text"]},
                    "top_provider": {"context_length": 200_000, "max_completion_tokens": 64_000, "is_moderated": True},
                    "supported_parameters": ["max_tokens", "tools", "tool_choice", "reasoning", "parallel_tool_calls"],
                }
            ]
        },
        {
            "context_window": 200_000, "max_output": 64_000, "tools": True, "parallel_tools": True, "vision": True,
            "audio": False, "json_schema": False, "reasoning": True,
        },
    ),
    "openrouter, unlimited": (
        {"data": [{"id": "m", "top_provider": {"max_completion_tokens": None}, "supported_parameters": []}]},
        {"tools": False, "json_schema": False, "reasoning": False},
    ),
    "vllm": (
        {"object": "list", "data": [{"id": "m", "object": "model", "owned_by": "vllm", "max_model_len": 32_768}]},
        {"context_window": 32_768},
    ),
    "anthropic": (
        {
            "data": [
                {
                    "type": "model",
                    "id": "m",
                    "max_input_tokens": 1_000_000,
                    "max_tokens": 64_000,
                    "capabilities": {
                        "batch": {"supported": True},
                        "image_input": {"supported": True},
                        "structured_outputs": {"supported": False},
                        "thinking": {"supported": True, "types": {"enabled": {"supported": True}}},
                    },
                }
            ],
            "has_more": False,
        },
        {
            "context_window": 1_000_000, "max_output": 64_000, "tools": True, "parallel_tools": True, "vision": True,
            "audio": False, "json_schema": False, "reasoning": True,
        },
    ),
    "mistral": (
        {
            "data": [
                {
                    "id": "m-2508",
                    "aliases": ["m"],
                    "max_context_length": 131_072,
                    "capabilities": {"completion_chat": True, "function_calling": True, "vision": False},
                }
            ]
        },
        {"context_window": 131_072, "tools": True, "vision": False},
    ),
    "together": ([{"id": "m", "type": "chat", "context_length": 8192}], {"context_window": 8192}),
    "groq": (
        {"data": [{"id": "m", "context_window": 131_072, "max_completion_tokens": 32_768, "active": True}]},
        {"context_window": 131_072, "max_output": 32_768},
    ),
    "fireworks": (
        {"data": [{"id": "m", "context_length": 65_536, "supports_image_input": True, "supports_tools": False}]},
        {"context_window": 65_536, "tools": False, "vision": True},
    ),
    "deepinfra": (
        {"data": [{"id": "m", "metadata": {"context_length": 40_960, "max_tokens": 16_384}}]},
        {"context_window": 40_960, "max_output": 16_384},
    ),
    "openai": ({"object": "list", "data": [{"id": "m", "object": "model", "created": 1, "owned_by": "openai"}]}, {}),
    "gemini": ({"object": "list", "data": [{"id": "models/m", "object": "model", "owned_by": "google"}]}, {}),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_capabilities_are_read_from_each_providers_format_and_others_are_unknown(shape: str) -> None:
    listing, told = SHAPES[shape]
    assert capabilities_in(listing)["m"] == told


async def test_this_routers_own_list_is_understood(proxy: Proxy) -> None:
    await registry.put_model(proxy.admin, CHEAP, "fake", context_window=9000, max_output=100, tools=True, vision=False)
    for _ in range(100):
        async with proxy.http() as http, http.get("/v1/models") as reply:
            found = capabilities_in(json.loads(await reply.read()))
        if found[CHEAP]:
            break
    assert found[CHEAP] == {"context_window": 9000, "max_output": 100, "tools": True, "vision": False}
    assert found["auto"] == {}


@pytest.mark.parametrize("listing", [{}, {"data": 7}, {"error": {"message": "no"}}, "text", None, 3])
def test_what_is_no_list_of_models_is_refused(listing: Any) -> None:
    with pytest.raises(ValueError, match="not a list of models"):
        capabilities_in(listing)


FIELDS = st.sampled_from(
    ["id", "aliases", "context_length", "max_model_len", "top_provider", "max_completion_tokens", "capabilities",
     "image_input", "supported", "supported_parameters", "architecture", "input_modalities", "metadata", "max_tokens"]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=6),
    max_leaves=20,
)


@settings(max_examples=examples(100))
@given(st.lists(st.dictionaries(FIELDS, JSON), max_size=3))
def test_nonsense_is_never_taken_for_a_capability(models: list[dict[str, Any]]) -> None:
    for told in capabilities_in({"data": [{"id": "m", **model} for model in models]}).values():
        for ability, value in told.items():
            if ability in ("context_window", "max_output"):
                assert type(value) is int
                assert 0 < value < 2**31
            else:
                assert type(value) is bool


def test_the_prices_data_has_context_windows_and_audio() -> None:
    assert list_prices.capabilities("gpt-4o-mini", "openai") == {"context_window": 128_000, "audio": None}
    assert list_prices.capabilities("gemini-2.5-flash", "google") == {"context_window": 1_048_576, "audio": True}
    assert list_prices.capabilities("anything", "nowhere") == {}


# Filling in


@asynccontextmanager
async def listing(answer: Callable[[web.Request], web.Response]) -> AsyncIterator[str]:
    """Run a provider with that answer to `GET /models`; yield its base URL."""

    async def handle(request: web.Request) -> web.Response:
        return answer(request)

    app = web.Application()
    app.router.add_get("/v1/models", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


@pytest.fixture
async def db(database: str) -> AsyncIterator[Database]:
    """The owner's connection."""
    opened = Database(database, size=2, role=None)
    await opened.open()
    yield opened
    await opened.close()


async def known(db: Database, name: str = "m") -> dict[str, Any]:
    row = next(row for row in await registry.list_models(db) if row["name"] == name)
    return {ability: row[ability] for ability in CAPABILITIES if row[ability] is not None}


async def test_what_an_operator_set_stays_and_the_rest_is_filled_in(db: Database) -> None:
    async with listing(lambda _: web.json_response(SHAPES["openrouter"][0])) as url:
        await providers.put_provider(db, "p", url, None)
        await registry.put_model(db, "mine", "p", upstream_name="m", context_window=1000, tools=False)
        done = await capabilities.refresh(db)
        assert [row["name"] for row in done.models] == ["mine"]
        assert not done.notes
        told = SHAPES["openrouter"][1]
        assert await known(db, "mine") == {**told, "context_window": 1000, "tools": False}
        assert not (await capabilities.refresh(db)).models, "the second time no model changes"
        await capabilities.refresh(db, ["mine"], force=True)
        assert await known(db, "mine") == told


async def test_force_does_not_forget_what_the_provider_does_not_tell(db: Database) -> None:
    async with listing(lambda _: web.json_response(SHAPES["vllm"][0])) as url:
        await providers.put_provider(db, "p", url, None)
        await registry.put_model(db, "m", "p", context_window=1, tools=False)
        await capabilities.refresh(db, provider="p", force=True)
    assert await known(db) == {"context_window": 32_768, "tools": False}


async def test_a_providers_key_goes_in_its_header(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", "sk-secret")
    heard: list[tuple[str | None, str | None, str | None]] = []

    def answer(request: web.Request) -> web.Response:
        heard.append((request.headers.get("x-api-key"), request.headers.get("authorization"), request.query_string))
        return web.json_response(SHAPES["anthropic"][0])

    async with listing(answer) as url:
        await providers.put_provider(db, "claude", url, "A_KEY", speaks=["messages"], key_header="x-api-key")
        await providers.put_provider(db, "other", url, "A_KEY")
        for provider in ("claude", "other"):
            await registry.put_model(db, f"{provider}-m", provider, upstream_name="m")
        await capabilities.refresh(db)
    assert set(heard) == {(None, "Bearer sk-secret", ""), ("sk-secret", None, "limit=1000")}


async def test_a_provider_that_does_not_answer_is_reported_and_the_prices_fill_in(db: Database) -> None:
    answers = {
        "broken": lambda _: web.Response(text="<html>"),
        "closed": lambda _: web.json_response({"error": {"message": "no key"}}, status=401),
    }
    await providers.put_provider(db, "openai", "http://127.0.0.1:1/v1", None)
    await registry.put_model(db, "m", "openai", upstream_name="gpt-4o-mini")
    async with listing(answers["broken"]) as broken, listing(answers["closed"]) as closed:
        await providers.put_provider(db, "broken", broken, None)
        await providers.put_provider(db, "closed", closed, None)
        await registry.put_model(db, "b", "broken")
        await registry.put_model(db, "c", "closed")
        done = await capabilities.refresh(db)
    assert [note.split(":")[0] for note in done.notes] == ["broken", "closed", "openai"]
    assert "returned 401" in done.notes[1]
    assert await known(db) == {"context_window": 128_000}


async def test_what_is_not_there_is_not_refreshed(db: Database) -> None:
    with pytest.raises(NotFound):
        await capabilities.refresh(db, ["nothing"])
    with pytest.raises(NotFound):
        await capabilities.refresh(db, provider="nobody")


def test_the_command_line_refreshes(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    runner = CliRunner()
    assert runner.invoke(main, ["provider", "add", "p", "--base-url", "http://127.0.0.1:1/v1"]).exit_code == 0
    assert (
        runner.invoke(main, ["model", "add", "m", "--provider", "p", "--no-audio", "--max-output", "9"]).exit_code == 0
    )
    refreshed = runner.invoke(main, ["model", "refresh", "m"])
    assert refreshed.exit_code == 0
    assert "p: its list of models cannot be read" in refreshed.stderr
    assert runner.invoke(main, ["model", "refresh", "nothing"]).exit_code == 1

    async def read() -> dict[str, Any]:
        db = Database(database, size=1, role=None)
        await db.open()
        try:
            return await known(db)
        finally:
            await db.close()

    assert blocking(read) == {"audio": False, "max_output": 9}


async def test_the_admin_api_refreshes(admin: Operator) -> None:
    async with listing(lambda _: web.json_response(SHAPES["groq"][0])) as url:
        await admin("PUT", "/providers/groq", {"base_url": url})
        await admin("PUT", "/models/m", {"provider": "groq", "vision": False})
        done = await admin("POST", "/models/refresh", {"models": ["m"]})
    (row,) = done["data"]
    assert (row["name"], row["context_window"], row["max_output"], row["vision"]) == ("m", 131_072, 32_768, False)
    assert (await admin("POST", "/models/refresh", {"models": ["nothing"]}, code=404))["error"]["param"] == "models"


async def test_a_key_lists_the_models_that_may_serve_it(admin: Operator) -> None:
    made = await admin("POST", "/tenants/acme/keys", {"models": [CHEAP]}, code=201)
    async with admin.proxy.http(made["api_key"]) as http:
        async with http.get("/v1/models") as reply:
            assert [model["id"] for model in (await reply.json())["data"]] == ["auto", CHEAP]
        async with http.get("/v1/models/strong") as reply:
            assert reply.status == 404

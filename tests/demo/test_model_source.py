"""The models of `auto` at a first start: the demo's, or OpenAI's if there is a key; and changes of them later."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio

from app.demo import model_source
from app.demo.model_source import choose_source, enable_demo_models, put_policy
from app.demo.models import DEMO_MODELS, MODELS
from app.operations import list_prices
from app.operations.default_candidates import default_candidates
from app.store import models, policies, providers, tenants
from app.store.database import Database

KEY = {"OPENAI_API_KEY": "sk-test", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
LISTED = ["gpt-4o", "gpt-4o-mini", "text-embedding-3-small"]


@dataclass
class Demo:
    """A demo tenant as after its first start, and the provider's answer to `GET /models`."""

    db: Database
    tenant_id: int
    listed: list[str] | None = field(default_factory=lambda: list(LISTED))

    async def start(self, environ: Mapping[str, str]) -> None:
        await choose_source(self.db, self.tenant_id, environ)

    async def auto(self) -> tuple[set[str], str]:
        """The candidates and the default model of `auto`."""
        row = next(row for row in await policies.list_policies(self.db, self.tenant_id) if row["name"] == "auto")
        return set(row["models"]), row["default_model"]

    async def enabled(self) -> set[str]:
        return {model.name for model in await models.models(self.db)}


@pytest_asyncio.fixture
async def demo(database: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Demo]:
    db = Database(database, size=1, role=None)
    await db.open()
    try:
        await providers.put_provider(db, "demo", "http://127.0.0.1:9/demo/v1", None)
        await enable_demo_models(db)
        tenant_id = await tenants.create_tenant(db, "demo")
        await put_policy(db, tenant_id, MODELS, {"alpha": 0.2})
        demo = Demo(db, tenant_id)

        async def listed(*_: Any) -> list[str] | None:
            return demo.listed

        monkeypatch.setattr(model_source, "_listed", listed)
        yield demo
    finally:
        await db.close()


async def test_without_a_key_auto_routes_between_the_demos_models_at_their_own_prices(demo: Demo) -> None:
    await demo.start({})
    assert await demo.auto() == (set(MODELS), "demo-large")
    found = {model.name: model for model in await models.models(demo.db)}
    assert [(found[each.name].input_price, found[each.name].output_price) for each in DEMO_MODELS] == [
        (each.input_price, each.output_price) for each in DEMO_MODELS
    ]
    assert [found[name].json_schema for name in MODELS] == [False, False, True]


async def test_with_a_key_auto_routes_between_the_cheap_and_the_strong_model_listed(demo: Demo) -> None:
    await demo.start(KEY)
    assert await demo.auto() == ({"gpt-4o-mini", "gpt-4o"}, "gpt-4o")
    assert await demo.enabled() == set(LISTED)


async def test_without_the_key_auto_goes_back_to_the_demos_models(demo: Demo) -> None:
    await demo.start(KEY)
    await demo.start({})
    assert await demo.auto() == (set(MODELS), "demo-large")
    assert await demo.enabled() == set(MODELS)


async def test_models_that_are_new_at_a_later_start_are_added_and_auto_stays(demo: Demo) -> None:
    await demo.start(KEY)
    demo.listed = [*LISTED, "gpt-4.1"]
    await demo.start(KEY)
    assert await demo.enabled() == {*LISTED, "gpt-4.1"}
    assert await demo.auto() == ({"gpt-4o-mini", "gpt-4o"}, "gpt-4o")


async def test_an_auto_of_the_operators_own_provider_stays_as_it_is(demo: Demo) -> None:
    await providers.put_provider(demo.db, "own", "http://127.0.0.1:9/v1", None)
    await models.put_model(demo.db, "mine", "own", input_price=1, output_price=2)
    await put_policy(demo.db, demo.tenant_id, ["demo-small", "mine"])
    await demo.start(KEY)
    await demo.start({})
    assert await demo.auto() == ({"demo-small", "mine"}, "mine")
    assert {*MODELS, "mine"} <= await demo.enabled()


async def test_an_openai_of_another_key_serves_on_without_openai_api_key(demo: Demo) -> None:
    await providers.put_provider(demo.db, "openai", "https://api.openai.com/v1", "MY_KEY")
    await models.put_model(demo.db, "gpt-4o", "openai", input_price=1, output_price=2)
    await put_policy(demo.db, demo.tenant_id, ["gpt-4o"])
    await demo.start({})
    assert await demo.auto() == ({"gpt-4o"}, "gpt-4o")


async def test_without_a_list_the_models_that_genai_prices_knows_are_taken(demo: Demo) -> None:
    demo.listed = None
    await demo.start(KEY)
    known = list_prices.chat_models("openai")
    assert await demo.auto() == (set(default_candidates(known)), default_candidates(known)[-1])
    assert set(known) <= await demo.enabled()


async def test_a_list_of_unknown_names_is_warned_of_naming_the_commands(
    demo: Demo, caplog: pytest.LogCaptureFixture
) -> None:
    demo.listed = ["llama-70b"]
    with caplog.at_level(logging.WARNING):
        await demo.start(KEY)
    assert "pgrouter policy put demo auto" in caplog.text
    assert await demo.auto() == (set(pair := default_candidates(list_prices.chat_models("openai"))), pair[-1])
    assert await demo.enabled() == {"llama-70b", *pair}


@pytest.mark.parametrize("answer", ["refused", "empty"])
async def test_a_list_that_cannot_be_had_is_warned_of(
    answer: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if answer == "empty":

        class Empty:
            def __aiter__(self) -> Empty:
                return self

            async def __anext__(self) -> Any:
                raise StopAsyncIteration

        monkeypatch.setattr("openai.resources.models.AsyncModels.list", lambda _: Empty())
    with caplog.at_level(logging.WARNING):
        assert await model_source._listed("http://127.0.0.1:9/v1", "sk-test") is None
    assert "http://127.0.0.1:9/v1/models" in caplog.text
    assert "genai-prices" in caplog.text
    assert "sk-test" not in caplog.text

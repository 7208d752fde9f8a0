"""Labels route every API alike: the same text to the same model, and a conversation to its first model."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.clients import PROXIED, Front
from tests.support.proxy import CHEAP, STRONG
from tests.support.separable_prompts import easy, hard, lessons

pytestmark = pytest.mark.parametrize("shared_front", [PROXIED], indirect=True)
CHAT, RESPONSES, INPUT, MESSAGES = "chat", "responses, text", "responses, items", "messages"
Served = tuple[str, str]


@pytest.fixture(scope="module")
async def taught(shared_front: Front) -> Front:
    """The module's proxy, whose tenant was taught easy and hard prompts."""
    assert shared_front.proxy is not None
    await shared_front.proxy.rank(lessons(120))
    return shared_front


async def served(front: Front, api: str, turns: list[Any]) -> Served:
    """Return the serving model and the reason of a conversation, as read by the official client of that API."""
    if api == MESSAGES:
        async with front.anthropic() as client:
            answer: Any = await client.messages.with_raw_response.create(model="auto", messages=turns, max_tokens=9)
    else:
        async with front.openai() as asked:
            if api == CHAT:
                answer = await asked.chat.completions.with_raw_response.create(model="auto", messages=turns)
            else:
                given: Any = turns[0]["content"] if api == RESPONSES else turns
                answer = await asked.responses.with_raw_response.create(model="auto", input=given)
    return answer.headers["x-router-model"], answer.headers["x-router-reason"]


def user(text: str) -> dict[str, str]:
    """Return a user's turn."""
    return {"role": "user", "content": text}


@pytest.mark.parametrize("api", [CHAT, RESPONSES, INPUT, MESSAGES])
async def test_prompts_are_routed_by_the_memory(taught: Front, api: str) -> None:
    found = [await served(taught, api, [user(make(seed))]) for make in (easy, hard) for seed in range(2000, 2005)]
    assert found == [(CHEAP, "learned")] * 5 + [(STRONG, "learned")] * 5


@pytest.mark.parametrize("api", [CHAT, INPUT, MESSAGES])
async def test_a_conversation_stays_with_the_model_that_began_it(taught: Front, api: str) -> None:
    assert taught.proxy is not None
    begun = [user(f"{easy(3000)} by {api}")]
    await taught.proxy.admin.fetch("truncate router.decisions")
    first = await served(taught, api, begun)
    await taught.proxy.ledger()
    answered = [*begun, {"role": "assistant", "content": "Hm."}, user(hard(3001))]
    assert first == (CHEAP, "learned")
    assert await served(taught, api, answered) == (CHEAP, "sticky")


async def test_a_conversation_may_go_on_by_another_api(taught: Front) -> None:
    assert taught.proxy is not None
    begun = [user(f"{easy(4000)} across")]
    await taught.proxy.admin.fetch("truncate router.decisions")
    await served(taught, CHAT, begun)
    await taught.proxy.ledger()
    answered = [*begun, {"role": "assistant", "content": "Hm."}, user(hard(4001))]
    assert await served(taught, MESSAGES, answered) == (CHEAP, "sticky")

"""Teaching and explaining by messages: the text is that of a request with the same messages."""

from __future__ import annotations

from typing import Any

from tests.support.agents import AGENTS, ASKS, sessions
from tests.support.proxy import CHEAP, STRONG, Proxy, ProxyFactory
from tests.support.rest import get, post
from tests.support.separable_prompts import easy, hard, lessons

REMINDER = "<system-reminder>\nIt is 10:31.\n</system-reminder>"


def as_session(lesson: dict[str, Any]) -> dict[str, Any]:
    """Return an example as an agent's session: the same first message in all, the prompt as the latest one."""
    messages = [
        {"role": "user", "content": f"Hello!\n{REMINDER}"},
        {"role": "assistant", "content": "What shall I do?"},
        {"role": "user", "content": f"{REMINDER}\n{lesson['prompt']}"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "t"}]},
        {"role": "tool", "tool_call_id": "t", "content": "done"},
    ]
    return {"messages": messages, "scores": lesson["scores"]}


async def test_examples_by_messages_have_the_text_of_the_policys_granularity(proxies: ProxyFactory) -> None:
    examples = {lesson["prompt"]: lesson for lesson in lessons(120)}
    async with proxies(policy={"granularity": "step"}) as proxy:
        body = {"examples": [as_session(lesson) for lesson in examples.values()]}
        status, taught = await post(proxy, "/v1/router/preferences/rank", body)
        assert (status, taught["created"]) == (200, len(examples))
        for make, model in ((easy, CHEAP), (hard, STRONG)):
            messages = as_session({"prompt": make(2000), "scores": {}})["messages"]
            _, explained = await post(proxy, "/v1/router/explain", {"messages": messages, "neighbours": 1})
            assert explained["text"] == f"{make(2000)}\nHello!"
            assert (explained["model"], explained["reason"]) == (model, "learned")
            assert explained["neighbours"][0]["prompt"].endswith("\nHello!")


async def test_an_example_names_the_policy_that_learns_from_it(proxies: ProxyFactory) -> None:
    async with proxies() as proxy:
        put = (
            "select router.put_policy($1, 'steps', 'knn', $2, $3, null,"
            ' jsonb_populate_record(null::router.policy_settings, \'{"granularity": "step"}\'))'
        )
        await proxy.admin.fetch(put, proxy.tenant_id, STRONG, [CHEAP, STRONG])
        proxy.services.directory.invalidate()
        example = as_session({"prompt": easy(1), "scores": {CHEAP: 1.0}})
        for policy in ("auto", "steps"):
            status, _ = await post(proxy, "/v1/router/preferences/rank", {**example, "policy": policy})
            assert status == 200
        _, memories = await get(proxy, "/v1/router/memories")
        assert [memory["prompt"] for memory in memories["data"]] == ["Hello!", f"{easy(1)}\nHello!"]
        body = {"examples": [example, {**example, "policy": "none"}]}
        status, refused = await post(proxy, "/v1/router/preferences/rank", body)
        assert (status, refused["error"]["param"]) == (404, "examples[1].policy")


async def test_the_sessions_of_agents_make_memories_of_their_own(proxy: Proxy) -> None:
    for agent in AGENTS:
        bodies = [session.bodies[0] for session in sessions(agent)]
        if any("input" in body for body in bodies):
            continue
        examples = [{"messages": body["messages"], "scores": {CHEAP: 1.0}} for body in bodies]
        await proxy.rank(examples)
    _, memories = await get(proxy, "/v1/router/memories")
    assert sorted(memory["prompt"] for memory in memories["data"]) == sorted(ASKS)


async def test_a_prompt_with_wrappers_is_the_memory_of_the_prompt_without(proxy: Proxy) -> None:
    scores = {CHEAP: 1.0}
    _, first = await post(proxy, "/v1/router/preferences/rank", {"prompt": easy(1), "scores": scores})
    wrapped = f"{easy(1)}\n\n{REMINDER}"
    _, again = await post(proxy, "/v1/router/preferences/rank", {"prompt": wrapped, "scores": scores})
    assert again["memory_ids"] == first["memory_ids"]
    _, explained = await post(proxy, "/v1/router/explain", {"prompt": wrapped})
    assert explained["text"] == easy(1)
    _, compared = await post(proxy, "/v1/router/preferences/compare", {"prompt": wrapped, "models": [CHEAP, STRONG]})
    assert compared["prompt"] == easy(1)


async def test_the_operators_markers_hold_for_asking_and_teaching(proxies: ProxyFactory) -> None:
    async with proxies(markers=("ticket",)) as proxy:
        await post(proxy, "/v1/router/preferences/rank", {"prompt": easy(1), "scores": {CHEAP: 1.0}})
        body = {"prompt": f"<ticket>\n17\n</ticket>\n{easy(1)}"}
        _, explained = await post(proxy, "/v1/router/explain", body)
        assert explained["text"] == easy(1)
        assert explained["neighbours"][0]["similarity"] > 0.999

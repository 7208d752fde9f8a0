"""Teaching over HTTP: status, comparisons, examples, and memories that are listed and deleted."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from scripts.fake_provider.server import ANSWER, Running
from tests.support.proxy import CHEAP, STRONG, Proxy
from tests.support.rest import get, post
from tests.support.separable_prompts import easy, hard, lessons


async def test_the_status_warms_up_and_has_the_next_step(proxy: Proxy) -> None:
    _, cold = await get(proxy, "/v1/router/status")
    assert (cold["policies"][0]["ready"], cold["policies"][0]["needed"]) == (False, 100)
    assert cold["policies"][0]["next_step"] == "teach 100 more examples"
    await proxy.rank([{**lesson, "task": "chat"} for lesson in lessons(60)])
    _, warmer = await get(proxy, "/v1/router/status")
    assert (warmer["memories"], warmer["policies"][0]["needed"]) == (60, 40)
    assert warmer["policies"][0]["tasks"] == {"chat": 60}
    await proxy.rank(lessons(120))
    _, warm = await get(proxy, "/v1/router/status")
    assert (warm["policies"][0]["ready"], warm["policies"][0]["next_step"]) == (True, "ready")


async def test_teaching_again_overwrites(proxy: Proxy) -> None:
    lesson = {"prompt": easy(1), "scores": {CHEAP: 1, STRONG: 1}}
    _, first = await post(proxy, "/v1/router/preferences/rank", lesson)
    _, again = await post(proxy, "/v1/router/preferences/rank", {**lesson, "scores": {CHEAP: 0.25}})
    assert (first["created"], again["created"], again["overwritten"]) == (1, 0, 1)
    assert first["memory_ids"] == again["memory_ids"]
    _, memories = await get(proxy, "/v1/router/memories")
    assert [memory["scores"] for memory in memories["data"]] == [{CHEAP: 0.25}]


async def test_an_example_may_be_given_as_messages(proxy: Proxy) -> None:
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": easy(1)}]
    await post(proxy, "/v1/router/preferences/rank", {"messages": messages, "scores": {CHEAP: 1}})
    _, memories = await get(proxy, "/v1/router/memories")
    assert memories["data"][0]["prompt"] == easy(1)


async def test_memories_are_listed_searched_paged_and_forgotten(proxy: Proxy) -> None:
    await proxy.rank(lessons(20))
    _, page = await get(proxy, "/v1/router/memories?limit=15")
    assert (len(page["data"]), page["has_more"]) == (15, True)
    _, rest = await get(proxy, f"/v1/router/memories?limit=15&after={page['data'][-1]['id']}")
    assert (len(rest["data"]), rest["has_more"]) == (5, False)
    _, found = await get(proxy, "/v1/router/memories?search=postcard")
    assert len(found["data"]) == 10
    _, literal = await get(proxy, "/v1/router/memories?search=%25")
    assert literal["data"] == []
    one = found["data"][0]["id"]
    assert await get(proxy, f"/v1/router/memories/{one}", method="DELETE") == (
        200,
        {"object": "router.forgotten", "forgotten": 1},
    )
    assert (await get(proxy, f"/v1/router/memories/{one}", method="DELETE"))[0] == 404
    assert (await get(proxy, "/v1/router/memories", method="DELETE"))[0] == 400
    assert (await get(proxy, "/v1/router/memories?all=true", method="DELETE"))[1]["forgotten"] == 19


async def test_answers_come_side_by_side_and_one_error_is_not_the_wholes(proxy: Proxy, upstream: Running) -> None:
    upstream.script(STRONG, "status=400")
    body = {"prompt": easy(1), "models": [CHEAP, STRONG], "max_tokens": 50}
    status, comparison = await post(proxy, "/v1/router/preferences/compare", body)
    assert status == 200
    good, bad = comparison["answers"]
    assert (good["model"], good["text"], good["error"]) == (CHEAP, ANSWER, None)
    assert good["cost_usd"] == pytest.approx((11 * 0.15 + 7 * 0.6) / 1e6)
    assert (bad["text"], bad["error"]["status"]) == (None, 400)
    assert {row["status"] for row in await proxy.ledger(2)} == {200, 400}


async def test_an_answer_costs_what_the_tenant_pays(proxy: Proxy) -> None:
    await proxy.admin.fetch("select router.put_price($1, $2, 1, 0.5, 2)", proxy.tenant_id, CHEAP)
    _, comparison = await post(proxy, "/v1/router/preferences/compare", {"prompt": "hi", "models": [CHEAP, STRONG]})
    # The provider reports 3 of 11 tokens as cached.
    cheap, strong = (row["cost_usd"] for row in comparison["answers"])
    assert cheap == pytest.approx((8 * 1 + 3 * 0.5 + 7 * 2) / 1e6)
    assert strong == pytest.approx((11 * 2.5 + 7 * 10) / 1e6)
    assert sorted(row["spent_usd"] for row in await proxy.ledger(2)) == [pytest.approx(cheap), pytest.approx(strong)]


async def test_an_answer_that_is_none_is_that_models_error(proxy: Proxy, upstream: Running) -> None:
    upstream.script(CHEAP, "drop")
    await proxy.admin.fetch("select router.put_provider('odd', $1, null)", f"{upstream.url}/echo")
    await proxy.admin.fetch("select router.put_model('parrot','odd','parrot',1,null,1,null,null,null,null,null)")
    await asyncio.sleep(0.3)
    body = {"prompt": easy(1), "models": ["parrot", CHEAP, STRONG]}
    status, comparison = await post(proxy, "/v1/router/preferences/compare", body)
    assert status == 200
    parrot, cheap, strong = comparison["answers"]
    assert parrot["error"]["message"] == "The provider's response is not a chat completion."
    assert cheap["error"]["status"] == 502
    assert strong["text"] == ANSWER


async def test_a_blind_comparison_hides_names_behind_labels_in_a_stable_order(proxy: Proxy) -> None:
    body = {"prompt": easy(1), "models": [CHEAP, STRONG], "blind": True}
    _, first = await post(proxy, "/v1/router/preferences/compare", body)
    _, second = await post(proxy, "/v1/router/preferences/compare", {**body, "models": [STRONG, CHEAP]})
    assert [answer["label"] for answer in first["answers"]] == ["A", "B"]
    assert {name for answer in first["answers"] for name in answer} == {"label", "text", "finish_reason", "error"}
    assert first["labels"] == second["labels"]
    assert set(first["labels"].values()) == {CHEAP, STRONG}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"prompt": "p", "models": [CHEAP]}, "models"),
        ({"prompt": "p", "models": [CHEAP] * 9}, "models"),
        ({"prompt": "p", "models": [CHEAP, CHEAP]}, "models"),
        ({"prompt": "p", "models": [CHEAP, "gpt-none"]}, "models[1]"),
        ({"models": [CHEAP, STRONG]}, None),
        ({"prompt": "p", "models": [CHEAP, STRONG], "max_tokens": 0}, "max_tokens"),
    ],
)
async def test_a_bad_comparison_is_refused_by_its_field(proxy: Proxy, body: Any, param: str | None) -> None:
    status, answer = await post(proxy, "/v1/router/preferences/compare", body)
    assert (status, answer["error"]["param"]) == (400, param)


async def test_an_explanation_shows_neighbours_and_estimates_and_sends_nothing(proxy: Proxy, upstream: Running) -> None:
    await proxy.rank(lessons(120))
    status, explanation = await post(proxy, "/v1/router/explain", {"prompt": hard(2000), "neighbours": 3})
    assert status == 200
    assert (explanation["model"], explanation["reason"]) == (STRONG, "learned")
    assert [candidate["model"] for candidate in explanation["candidates"]] == [STRONG, CHEAP]
    assert len(explanation["neighbours"]) == 3
    assert explanation["neighbours"][0]["prompt"].startswith("Prove")
    assert explanation["neighbours"][0]["scores"] == {CHEAP: 0.0, STRONG: 1.0}
    assert upstream.log() == []


@pytest.mark.parametrize("task", [None, "sums"])
async def test_the_effects_of_all_neighbours_are_what_moves_an_estimate_from_its_prior(
    proxy: Proxy, task: str | None
) -> None:
    await proxy.rank([{**each, "task": "sums" if n % 3 else "jokes"} for n, each in enumerate(lessons(120))])
    _, explanation = await post(
        proxy, "/v1/router/explain", {"prompt": hard(2000), "task": task, "neighbours": 1000, "k": 30}
    )
    assert (len(explanation["neighbours"]), explanation["guessed"]) == (30, False)
    for candidate in explanation["candidates"]:
        moved = sum(near["effects"][candidate["model"]] for near in explanation["neighbours"])
        assert candidate["quality"] == pytest.approx(candidate["prior"] + moved, abs=1e-5)
        near = [each for each in explanation["neighbours"] if candidate["model"] in each["scores"]]
        level = candidate["prior"] + candidate["ease"]
        excess = sum(each["weight"] * (each["scores"][candidate["model"]] - level) for each in near)
        own = excess / (candidate["support"] + candidate["n0"])
        assert (candidate["share"], candidate["borrowed"]) == (0, None)
        assert candidate["quality"] == pytest.approx(level + own, abs=1e-5)
        assert (candidate["prior"] == candidate["mean"]) == (task is None)


async def test_status_shows_the_fit_of_a_policy(proxy: Proxy) -> None:
    await proxy.rank(lessons(240))
    status, before = await get(proxy, "/v1/router/status")
    (policy,) = before["policies"]
    assert (status, policy["fit"]["why"]) == (200, "maintenance has not fitted it yet")
    query = "select f.* from router.policies as p, router.fit(p.tenant_id, p.policy_id, 1::smallint) as f"
    (row,) = await proxy.admin.fetch(query)
    _, after = await get(proxy, "/v1/router/status")
    (policy,) = after["policies"]
    assert (policy["fit"]["n0"], policy["fit"]["pairs"], policy["fit"]["why"]) == (row["n0"], row["pairs"], None)
    _, explanation = await post(proxy, "/v1/router/explain", {"prompt": hard(2000)})
    assert {candidate["n0"] for candidate in explanation["candidates"]} == {row["n0"]}
    assert all(0 < candidate["share"] < 0.5 for candidate in explanation["candidates"])


async def test_a_served_decision_can_be_read_and_only_by_its_tenant(proxy: Proxy) -> None:
    await proxy.rank(lessons(120))
    async with proxy.client() as client:
        raw = await client.chat.completions.with_raw_response.create(
            model="auto", messages=[{"role": "user", "content": easy(2000)}], extra_headers={"X-Router-Task": "chat"}
        )
    await proxy.ledger()
    path = f"/v1/router/decisions/{raw.headers['x-router-decision']}"
    status, decision = await get(proxy, path)
    assert status == 200
    assert (decision["model"], decision["reason"], decision["task"]) == (CHEAP, "learned", "chat")
    assert [candidate["model"] for candidate in decision["candidates"]] == [CHEAP, STRONG]
    _, other_key = await proxy.new_tenant("rival")
    assert (await get(proxy, path, other_key))[0] == 404
    assert (await get(proxy, "/v1/router/decisions/none"))[0] == 404


async def test_tenants_neither_see_nor_use_each_others_memories(proxy: Proxy) -> None:
    _, other_key = await proxy.new_tenant("rival")
    await proxy.rank(lessons(120), other_key)
    _, mine = await get(proxy, "/v1/router/memories")
    assert mine["data"] == []
    _, theirs = await get(proxy, "/v1/router/memories?limit=1", other_key)
    assert (await get(proxy, f"/v1/router/memories/{theirs['data'][0]['id']}", method="DELETE"))[0] == 404
    async with proxy.client() as client:
        raw = await client.chat.completions.with_raw_response.create(
            model="auto", messages=[{"role": "user", "content": easy(1)}]
        )
    assert raw.headers["x-router-reason"] == "cold"

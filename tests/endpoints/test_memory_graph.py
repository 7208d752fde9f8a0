"""GET /v1/router/memories/graph over HTTP, and memories that are filtered and forgotten by their ids."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.proxy import CHEAP, STRONG, Proxy
from tests.support.rest import get, post
from tests.support.separable_prompts import easy, hard, lessons

GRAPH = "/v1/router/memories/graph"
EDGES = f"{GRAPH}/edges"


async def ids_of(proxy: Proxy, query: str = "", key: str | None = None) -> list[int]:
    _, page = await get(proxy, f"/v1/router/memories?limit=1000{query}", key)
    return [memory["id"] for memory in page["data"]]


async def test_the_graph_has_nodes_and_pages_of_edges_but_no_embedding(proxy: Proxy) -> None:
    await proxy.rank(lessons(20))
    status, graph = await get(proxy, GRAPH)
    assert status == 200
    assert (graph["object"], graph["total"], graph["sampled"], graph["k"]) == ("router.memory_graph", 20, False, 6)
    assert {node["id"] for node in graph["data"]} == set(await ids_of(proxy))
    assert set(graph["data"][0]) == {"id", "prompt", "task", "source", "scores"}
    found: list[dict[str, Any]] = []
    more, offset = True, 0
    while more:
        _, page = await get(proxy, f"{EDGES}?offset={offset}&limit=8")
        assert {edge["memory_id"] for edge in page["data"]} == {n["id"] for n in graph["data"][offset : offset + 8]}
        found, more, offset = found + page["data"], page["has_more"], offset + 8
    assert offset == 24
    assert len(found) == 20 * 6
    assert set(found[0]) == {"memory_id", "neighbour_id", "similarity"}
    # Easy prompts are alike, and so are hard ones.
    prompts = {node["id"]: node["prompt"] for node in graph["data"]}
    kind = {memory: prompt.split()[0] for memory, prompt in prompts.items()}
    nearest = {edge["memory_id"]: edge["neighbour_id"] for edge in reversed(found)}
    assert all(kind[memory] == kind[neighbour] for memory, neighbour in nearest.items())


async def test_a_sample_says_so(proxy: Proxy) -> None:
    await proxy.rank(lessons(20))
    _, graph = await get(proxy, f"{GRAPH}?sample=5&k=2")
    assert (len(graph["data"]), graph["total"], graph["sampled"]) == (5, 20, True)
    _, page = await get(proxy, f"{EDGES}?sample=5&k=2")
    assert {edge["neighbour_id"] for edge in page["data"]} <= {node["id"] for node in graph["data"]}


async def test_an_empty_memory_has_an_empty_graph(proxy: Proxy) -> None:
    _, graph = await get(proxy, GRAPH)
    assert (graph["data"], graph["total"], graph["sampled"]) == ([], 0, False)
    _, page = await get(proxy, EDGES)
    assert (page["data"], page["has_more"]) == ([], False)


async def test_a_tenant_sees_the_graph_of_its_own_memory_alone(proxy: Proxy) -> None:
    _, rival = await proxy.new_tenant("rival")
    await proxy.rank(lessons(10))
    await proxy.rank(lessons(10), rival)
    mine, theirs = set(await ids_of(proxy)), set(await ids_of(proxy, key=rival))
    assert not mine & theirs
    _, graph = await get(proxy, GRAPH, rival)
    assert {node["id"] for node in graph["data"]} == theirs
    _, page = await get(proxy, EDGES, rival)
    assert {edge[end] for edge in page["data"] for end in ("memory_id", "neighbour_id")} == theirs


@pytest.mark.parametrize(
    ("path", "param"),
    [
        (f"{GRAPH}?sample=2001", "sample"),
        (f"{GRAPH}?k=0", "k"),
        (f"{GRAPH}?offset=1", "offset"),
        (f"{EDGES}?limit=201", "limit"),
        (f"{EDGES}?offset=-1", "offset"),
        ("/v1/router/memories?ids=1,x", "ids"),
        ("/v1/router/memories?source=rumour", "source"),
        ("/v1/router/memories?task=a%00b", "task"),
    ],
)
async def test_a_wrong_parameter_is_named(proxy: Proxy, path: str, param: str) -> None:
    status, body = await get(proxy, path)
    assert (status, body["error"]["param"]) == (400, param)


async def test_the_list_filters_by_task_source_and_ids(proxy: Proxy) -> None:
    common = {"scores": {CHEAP: 1.0}}
    await proxy.rank(
        [
            {"prompt": easy(1), "task": "post", **common},
            {"prompt": easy(2), "task": "post", "source": "judge", **common},
            {"prompt": hard(3), "completion_tokens": {CHEAP: 12}, **common},
        ]
    )
    first, second, third = await ids_of(proxy)
    assert await ids_of(proxy, "&task=post") == [first, second]
    assert await ids_of(proxy, "&task=post&source=judge") == [second]
    assert await ids_of(proxy, "&source=human&search=postcard") == [first]
    assert await ids_of(proxy, f"&ids={third},{first}") == [first, third]
    _, page = await get(proxy, f"/v1/router/memories?ids={third}")
    assert page["data"][0]["completion_tokens"] == {CHEAP: 12}


async def test_what_was_forgotten_can_be_taught_again_from_what_the_list_returned(proxy: Proxy) -> None:
    example = {
        "prompt": easy(1), "task": "post", "source": "judge", "scores": {CHEAP: 0.3, STRONG: 0.9},
        "completion_tokens": {CHEAP: 12},
    }  # fmt: skip
    await proxy.rank([example])
    _, before = await get(proxy, "/v1/router/memories")
    (kept,) = before["data"]
    assert await get(proxy, f"/v1/router/memories?ids={kept['id']}", method="DELETE") == (
        200,
        {"object": "router.forgotten", "forgotten": 1},
    )
    again = {name: kept[name] for name in ("prompt", "task", "source", "scores", "completion_tokens")}
    assert (await post(proxy, "/v1/router/preferences/rank", {"examples": [again]}))[1]["created"] == 1
    _, after = await get(proxy, "/v1/router/memories")
    assert {name: after["data"][0][name] for name in again} == again == example


async def test_several_memories_are_forgotten_but_none_of_another_tenant(proxy: Proxy) -> None:
    _, rival = await proxy.new_tenant("rival")
    await proxy.rank(lessons(6))
    await proxy.rank(lessons(2), rival)
    mine, theirs = await ids_of(proxy), await ids_of(proxy, key=rival)
    named = ",".join(str(memory) for memory in [*mine[:3], *theirs, 10**15])
    status, body = await get(proxy, f"/v1/router/memories?ids={named}", method="DELETE")
    assert (status, body["forgotten"]) == (200, 3)
    assert await ids_of(proxy) == mine[3:]
    assert await ids_of(proxy, key=rival) == theirs


@pytest.mark.parametrize(
    ("query", "param", "part"),
    [
        ("", "all", "?ids="),
        ("?all=yes", "all", "?all=true"),
        ("?ids=", "ids", "not the id of a memory"),
        ("?ids=1,-2", "ids", "'-2'"),
        (f"?ids={2**63}", "ids", str(2**63)),
        ("?ids=1&all=true", "all", "not both"),
        ("?ids=" + "1," * 1000 + "1", "ids", "1,001 ids are too many"),
    ],
)
async def test_a_deletion_that_is_not_clear_deletes_nothing(proxy: Proxy, query: str, param: str, part: str) -> None:
    await proxy.rank(lessons(2))
    status, body = await get(proxy, f"/v1/router/memories{query}", method="DELETE")
    assert (status, body["error"]["param"]) == (400, param)
    assert part in body["error"]["message"]
    assert len(await ids_of(proxy)) == 2

"""The memory as a file over HTTP: all or nothing is taught, errors name lines, and no other tenant sees it."""

from __future__ import annotations

import asyncio
import gzip
import time
from typing import Any

import orjson
import pytest
import zstandard

from tests.support.proxy import CHEAP, STRONG, Proxy
from tests.support.rest import get
from tests.support.separable_prompts import easy, hard, lessons

IMPORT, EXPORT = "/v1/router/memories/import", "/v1/router/memories/export"


def jsonl(examples: list[Any]) -> bytes:
    return b"".join(orjson.dumps(example) + b"\n" for example in examples)


async def send(proxy: Proxy, content: bytes, key: str | None = None, **query: str) -> list[dict[str, Any]]:
    async with proxy.http(key) as http, http.post(IMPORT, data=content, params=query) as reply:
        assert reply.status == 200, await reply.text()
        return [orjson.loads(line) for line in (await reply.read()).splitlines() if line.strip()]


async def export(proxy: Proxy, key: str | None = None) -> list[dict[str, Any]]:
    async with proxy.http(key) as http, http.get(EXPORT) as reply:
        assert reply.status == 200
        assert reply.headers["content-disposition"].startswith('attachment; filename="')
        return [orjson.loads(line) for line in (await reply.read()).splitlines()]


async def memories(proxy: Proxy, key: str | None = None) -> int:
    _, status = await get(proxy, "/v1/router/status", key)
    return int(status["memories"])


async def test_a_file_is_taught_by_the_key_and_exported_again(proxy: Proxy) -> None:
    examples = [*lessons(30), {"prompt": easy(1), "scores": {CHEAP: 0.5}, "completion_tokens": {CHEAP: 9}, "task": "x"}]
    *progress, result = await send(proxy, jsonl(examples))
    assert all("phase" in line for line in progress)
    assert (result["lines"], result["taught"], result["failed"], result["format"]) == (31, 31, 0, "jsonl")
    assert (result["created"], result["overwritten"], result["copies"]) == (30, 0, 1)
    found = await export(proxy)
    assert len(found) == await memories(proxy) == 30
    assert {
        "prompt": easy(1),
        "scores": {CHEAP: 0.5},
        "completion_tokens": {CHEAP: 9},
        "task": "x",
        "source": "import",
    } in found
    (*_, again) = await send(proxy, jsonl(found))
    assert (again["created"], again["overwritten"]) == (0, 30)
    keys = await proxy.admin.fetch("select distinct key_id from router.memory_texts")
    assert [row["key_id"] for row in keys] == [proxy.key_id]


async def test_errors_name_their_lines_and_nothing_is_taught(proxy: Proxy) -> None:
    content = jsonl(lessons(4)[:3]) + b"no json\n" + jsonl([{"prompt": "p", "scores": {CHEAP: 7}}])
    content += jsonl([{"prompt": "p", "scores": {"gpt-none": 1}}])
    *errors, result = [line for line in await send(proxy, content, name="mine.jsonl") if "phase" not in line]
    assert [each["line"] for each in errors] == [4, 5, 6]
    assert all(each["error"]["message"].startswith("mine.jsonl line ") for each in errors)
    assert (result["taught"], result["failed"]) == (0, 3)
    assert await memories(proxy) == 0


async def test_a_dry_run_writes_nothing(proxy: Proxy) -> None:
    (*_, result) = await send(proxy, jsonl(lessons(6)[:5]), dry_run="true")
    assert (result["lines"], result["taught"], result["failed"]) == (5, 0, 0)
    assert result["labels"][CHEAP]["labels"] == 5
    assert await memories(proxy) == 0


@pytest.mark.parametrize(
    ("content", "query"),
    [
        (f"prompt;q:{CHEAP};q:{STRONG}\n{easy(1)};0,5;1\n".encode(), {}),
        (f"prompt\tq:{CHEAP}\n{easy(1)}\t1\n".encode("utf-16"), {}),
        (gzip.compress(jsonl([{"prompt": easy(1), "scores": {CHEAP: 1}}]), mtime=0), {}),
        (jsonl([{"prompt": easy(1), "scores": {"theirs": 1}}]), {"models": f"theirs={CHEAP}"}),
        (jsonl([{"prompt": easy(1), "scores": {"theirs": 1, STRONG: 1}}]), {"skip_unknown_models": "true"}),
    ],
)
async def test_files_as_people_have_them(proxy: Proxy, content: bytes, query: dict[str, str]) -> None:
    (*_, result) = await send(proxy, content, **query)
    assert (result["taught"], result["failed"]) == (1, 0), result


async def test_more_than_the_tenant_keeps_is_refused_or_trimmed(proxy: Proxy) -> None:
    _, key = await proxy.new_tenant("small", memory_cap=10)
    *errors, result = [line for line in await send(proxy, jsonl(lessons(12)), key) if "phase" not in line]
    assert "keeps 10" in errors[0]["error"]["message"]
    assert (result["taught"], await memories(proxy, key)) == (0, 0)
    (*_, result) = await send(proxy, jsonl(lessons(12)), key, trim="true")
    assert (result["taught"], result["trimmed"], await memories(proxy, key)) == (10, 2, 10)


async def test_tenants_neither_see_nor_change_each_others_files(proxy: Proxy) -> None:
    _, other = await proxy.new_tenant("rival")
    await send(proxy, jsonl(lessons(4)))
    assert await export(proxy, other) == []
    await send(proxy, jsonl([{"prompt": hard(1), "scores": {CHEAP: 0}}]), other)
    assert (await memories(proxy), await memories(proxy, other)) == (4, 1)


@pytest.mark.parametrize(
    ("content", "query", "param"),
    [
        (b"", {}, None),
        (b"{}", {"scale": "stars"}, "scale"),
        (b"{}", {"models": "x=gpt-none"}, "model"),
        (b"{}", {"models": "x"}, "models"),
        (b"{}", {"format": "xls"}, "format"),
        (b"{}", {"dryrun": "1"}, "dryrun"),
        (b"{}", {"encoding": "hex"}, "encoding"),
        (b"{}", {"encoding": "rot13"}, "encoding"),
        (b"{}", {"encoding": "utf-8\0"}, "encoding"),
        (b"{}", {"encoding": "punycode"}, "encoding"),
        (gzip.compress(gzip.compress(b"{}", mtime=0), mtime=0), {}, None),
        (gzip.compress(zstandard.compress(b"{}"), mtime=0), {}, None),
    ],
)
async def test_a_bad_import_is_refused_before_it_begins(
    proxy: Proxy, content: bytes, query: dict[str, str], param: str | None
) -> None:
    async with proxy.http() as http, http.post(IMPORT, data=content, params=query) as reply:
        assert reply.status == 400
        assert orjson.loads(await reply.read())["error"]["param"] == param


NESTED = b'{"prompt": "x", "scores": {"a": [' + b"[]," * 250_000 + b"[]]}}"


@pytest.mark.parametrize(
    "content",
    [
        NESTED,
        b" " + NESTED,
        gzip.compress(NESTED),
        gzip.compress(NESTED.decode().encode("utf-16")),
        jsonl(lessons(2)) * 1000 + NESTED,
        b"[" + NESTED + b"]",
        b"{\n" + NESTED[1:],
        b'[{"prompt": "x"},\n' + NESTED.replace(b"[],", b"[],\n") + b"]",
    ],
    ids=["line", "space", "gzip", "utf-16", "last", "array", "document", "lines"],
)
async def test_what_would_be_parsed_for_too_long_is_refused(proxy: Proxy, content: bytes) -> None:
    async with proxy.http() as http, http.post(IMPORT, data=content) as reply:
        assert reply.status == 413
        assert "of the file has more than" in await reply.text()


@pytest.mark.parametrize("text", [b"\n" * 20_000_000, b" \n" * 10_000_000], ids=["lines", "spaces"])
async def test_a_small_file_that_unpacks_to_many_lines_keeps_nobody_waiting(proxy: Proxy, text: bytes) -> None:
    task = asyncio.create_task(send(proxy, gzip.compress(text)))
    longest, at = 0.0, time.monotonic()
    while not task.done():
        await asyncio.sleep(0.01)
        longest, at = max(longest, time.monotonic() - at), time.monotonic()
    assert (await task)[-1]["taught"] == 0
    assert longest < 0.5


async def test_an_array_of_many_examples_is_taught(proxy: Proxy) -> None:
    content = orjson.dumps(lessons(40) * 1000, option=orjson.OPT_INDENT_2)
    (*_, result) = await send(proxy, gzip.compress(content), dry_run="true")
    assert (result["lines"], result["copies"], result["failed"]) == (40_000, 39_960, 0), result


async def test_unpacked_bytes_are_held(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    bodies = proxy.services.bodies
    monkeypatch.setattr(bodies, "most", 1_000_000)
    async with proxy.http() as http, http.post(IMPORT, data=gzip.compress(b" " * 2_000_000)) as reply:
        assert reply.status == 503
    assert bodies.held == 0


async def test_an_import_that_is_left_teaches_nothing(proxy: Proxy) -> None:
    examples = lessons(3000)
    async with proxy.http() as http, http.post(IMPORT, data=jsonl(examples)) as reply:
        await reply.content.readline()
        reply.close()
    await asyncio.sleep(1)
    # All of them if it had ended before; some prompts are there twice.
    assert await memories(proxy) in (0, len({example["prompt"] for example in examples}))
    (*_, result) = await send(proxy, jsonl(lessons(2)))
    assert result["taught"] == 2


async def test_one_transfer_of_a_tenant_at_a_time(proxy: Proxy) -> None:
    async with proxy.services.transfers.transfer(proxy.tenant_id):
        *_, error, result = await send(proxy, jsonl(lessons(2)))
        assert (error["status"], result["taught"]) == (429, 0)
        async with proxy.http() as http, http.get(EXPORT) as reply:
            assert reply.status == 429

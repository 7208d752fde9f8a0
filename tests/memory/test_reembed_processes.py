"""Processes and files during and after a move to another embedder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from app.memory import embedders
from app.memory.embedders import Embedder
from app.memory.embedders.static import StaticEmbedder
from app.settings import Settings
from app.store import memories as memory
from app.store import tenants
from app.store.memory_files import Staging
from scripts.fake_provider.server import Running
from tests.support.proxy import CHEAP, STRONG, Proxy, ProxyFactory, make_tenant
from tests.support.spaces import LESSONS, REMOTE, REMOTE_SPACE, STATIC_SPACE, Run, ask, get, spaces_of


async def test_tenants_of_different_embedders_are_served_by_one_process(warm: Proxy, run: Run) -> None:
    _, key = await make_tenant(warm.admin, "beta")
    await warm.rank(LESSONS, key)
    await run("reembed", "--tenant", "beta", "--to", REMOTE)
    for seed in range(3):
        assert await ask(warm, seed) == (CHEAP, "learned")
        assert await ask(warm, seed, key) == (CHEAP, "learned")


async def test_a_process_without_the_embedder_serves_the_default_and_logs_why_once(
    warm: Proxy, run: Run, proxies: ProxyFactory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await run("reembed", "--tenant", "acme", "--to", REMOTE)
    monkeypatch.delenv("ROUTER_EMBEDDING_URL")
    async with proxies() as other:
        for seed in range(3):
            assert await ask(other, seed) == (STRONG, "embedding_failed")
        said = [record.message for record in caplog.records if REMOTE_SPACE in record.message]
        assert len(said) == 1
        assert "ROUTER_EMBEDDING_API_KEY" in said[0]
        assert (await get(other, "status"))["embedder"] == REMOTE_SPACE
        async with (
            other.http() as http,
            http.post("/v1/router/preferences/rank", json={"prompt": "p", "scores": {CHEAP: 1}}) as response,
        ):
            assert response.status == 503
            assert "ROUTER_EMBEDDING_API_KEY" in (await response.text())
    assert await spaces_of(warm) == {REMOTE_SPACE: (120, True, False)}


async def test_teaching_that_began_before_the_switch_ends_in_the_new_space(
    warm: Proxy, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = memory.record
    refused = 0

    async def late(*arguments: Any) -> Any:
        nonlocal refused
        if not refused:
            refused = 1
            await run("reembed", "--tenant", "acme", "--to", REMOTE)
        return await record(*arguments)

    monkeypatch.setattr(memory, "record", late)
    await warm.rank([{"prompt": "just in time", "scores": {CHEAP: 1}}])
    assert await spaces_of(warm) == {REMOTE_SPACE: (121, True, False)}


async def test_the_status_of_a_tenant_of_another_embedder_has_the_command_that_helps(
    warm: Proxy, run: Run, proxies: ProxyFactory, upstream: Running
) -> None:
    async with proxies(embedder=REMOTE, embedding_url=upstream.url, embedding_deadline=5.0) as other:
        assert await ask(other, 1) == (STRONG, "cold")
        (policy,) = (await get(other, "status"))["policies"]
        command = re.search(r"pgrouter (reembed .*)", policy["next_step"])
        assert command, policy
        await run(*command[1].replace("'", "").split())
        assert await ask(other, 2) == (CHEAP, "learned")
    assert await ask(warm, 3) == (CHEAP, "learned")


async def test_the_status_of_a_tenant_of_another_folder_has_a_command_that_works(
    warm: Proxy, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Folder(StaticEmbedder):
        name = "onnx-0123456789ab-384"

    make = embedders._embedder

    def of_folder(settings: Settings, width: int) -> Embedder:
        return Folder() if settings.embedder == "minilm:/folder" else make(settings, width)

    monkeypatch.setattr(embedders, "_embedder", of_folder)
    monkeypatch.setenv("ROUTER_EMBEDDER", "minilm:/folder")
    (row,) = orjson.loads((await run("status", "--json")).stdout)
    command = re.search(r"pgrouter (reembed .*)", row["next_step"])
    assert command, row
    arguments = command[1].replace("'", "").split()
    assert arguments[-1] == Folder.name
    monkeypatch.delenv("ROUTER_EMBEDDER")
    refused = await run(*arguments, code=1)
    assert "set ROUTER_EMBEDDER=minilm:/path/to/that/folder" in refused.stderr
    monkeypatch.setenv("ROUTER_EMBEDDER", "minilm:/folder")
    result = await run(*arguments)
    assert f"Every proxy needs for {Folder.name}: ROUTER_EMBEDDER=minilm:/folder." in result.stderr
    assert await spaces_of(warm) == {Folder.name: (120, True, False)}


def more(path: Path) -> str:
    """A file of four lessons."""
    path.write_bytes(b"".join(orjson.dumps({"prompt": f"more {i}", "scores": {CHEAP: 1}}) + b"\n" for i in range(4)))
    return str(path)


async def test_a_file_for_another_embedder_than_the_memorys_is_refused_with_what_helps(
    warm: Proxy, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tenants.change_tenant(warm.admin, warm.tenant_id, memory_cap=120)
    file = more(tmp_path / "more.jsonl")
    monkeypatch.setenv("ROUTER_EMBEDDER", REMOTE)
    refused = await run("import", file, "--tenant", "acme", code=1)
    assert f"acme was taught with {STATIC_SPACE}: set ROUTER_EMBEDDER to static, or " in refused.stderr
    assert await spaces_of(warm) == {STATIC_SPACE: (120, True, False)}
    command = re.search(r"`pgrouter (reembed .*)`", refused.stderr)
    assert command, refused.stderr
    await run(*command[1].split())
    await run("import", file, "--tenant", "acme")
    assert list(await spaces_of(warm)) == [REMOTE_SPACE]


async def test_a_file_whose_tenant_is_moved_meanwhile_is_to_be_imported_again(
    warm: Proxy, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teach = Staging.teach
    file = more(tmp_path / "more.jsonl")

    async def late(*arguments: Any) -> Any:
        await run("reembed", "--tenant", "acme", "--to", REMOTE)
        return await teach(*arguments)

    with monkeypatch.context() as meddled:
        meddled.setattr(Staging, "teach", late)
        refused = await run("import", file, "--tenant", "acme", code=1)
    assert (
        f"acme was moved to another embedder in the meantime, and no example of {file} was stored: run the"
        in refused.stderr
    )
    assert await spaces_of(warm) == {REMOTE_SPACE: (120, True, False)}
    await run("import", file, "--tenant", "acme")
    assert await spaces_of(warm) == {REMOTE_SPACE: (124, True, False)}

"""Paths that ask a model: each at its one spelling, and no other spelling reaches a provider."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest

from app.errors import BadRequest, NotFound
from app.proxy.paths import forwarded
from scripts.fake_provider.server import Running
from tests.support.proxy import CHEAP, STRONG, Proxy
from tests.support.raw_http import Asked, exchange
from tests.support.raw_provider import call

CHAT = "/v1/chat/completions"
SPELLINGS = [
    ("/v1/v1/chat/completions", CHAT), ("/v1/v1/v1/responses", "/v1/responses"), ("/v1/chat/completions;a=b", CHAT),
    ("/v1/chat;x/completions", CHAT), ("/v1/;/chat/completions", CHAT), ("/v1/chat/completions%20", CHAT),
    ("/v1/%20chat/completions", CHAT), ("/v1/chat/completions%09", CHAT), ("/v1/chat/completions%00", CHAT),
    ("/v1//chat/completions", CHAT), ("/v1/chat//completions", CHAT), ("/v1/chat/completions/", CHAT),
    ("/v1/CHAT/completions", CHAT), ("/v1/Chat/Completions", CHAT), ("/v1/chat%252Fcompletions", CHAT),
    ("/v1/chat%5Ccompletions", CHAT), ("/v1/chat/completions%3Ba=b", CHAT), ("/v1/%2563hat/completions", CHAT),
    ("/v1/engines/gpt-4o/completions", "/v1/completions"), ("/v1/engines/gpt-4o/chat/completions", CHAT),
    ("/v1/engines/ada/embeddings", "/v1/embeddings"), ("/v1/openai/deployments/gpt-4o/chat/completions", CHAT),
    ("/v1/openai/v1/responses", "/v1/responses"), ("/v1/deployments/x/embeddings", "/v1/embeddings"),
    ("/v1/api/chat/completions", CHAT), ("/v1/beta/messages", "/v1/messages"), ("/v1/Responses", "/v1/responses"),
    ("/v1/messages/", "/v1/messages"), ("/v1/embeddings//", "/v1/embeddings"),
    ("/v1/responses/compact/", "/v1/responses/compact"), ("/v1/Responses/Compact", "/v1/responses/compact"),
    ("/v1/messages/count_tokens/", "/v1/messages/count_tokens"),
    ("/v1/complete", CHAT), ("/v1/models/gemini-2.5-pro:generateContent", CHAT), ("/v1/model/x/invoke", CHAT),
    ("/v1/x/y:streamGenerateContent", CHAT), ("/v1/responses/resp_1", "/v1/responses"), ("/v1/v1/files", "/v1/files"),
    ("/v1/text/chatcompletion_v2", CHAT), ("/v1/chat-messages", CHAT), ("/v1/interactions", CHAT),
    ("/v1/models/x/predictions", CHAT), ("/v1/text-generation", CHAT), ("/v1/fim/completions", "/v1/completions"),
    ("/v1//images/generations", "/v1/images/generations"), ("/v1/images%2Fgenerations", "/v1/images/generations"),
    ("/v1//router/preferences/rank", "/v1/router/preferences/rank"), ("/v1/conversations/", "/v1/conversations"),
    ("/v1/CONVERSATIONS/conv_a/items", "/v1/conversations/conv_a/items"), ("/v1//conversations", "/v1/conversations"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "right"), SPELLINGS)
async def test_other_spellings_are_a_404_with_the_right_one(
    proxy: Proxy, upstream: Running, path: str, right: str
) -> None:
    body = orjson.dumps({"model": STRONG, "messages": [{"role": "user", "content": "hi"}]})
    came = await exchange(proxy.url, proxy.key, Asked("POST", path, body))
    assert came.status == 404
    assert f"{right}" in orjson.loads(came.body)["error"]["message"]
    assert upstream.log() == []


PASSES = [
    ("GET", "/v1/chat/completions"), ("GET", "/v1/chat/completions/chatcmpl-1"), ("POST", "/v1/chat/completions/c-1"),
    ("GET", "/v1/chat/completions/c-1/messages"), ("POST", "/v1/responses/resp_1/cancel"), ("GET", "/v1/responses/r"),
    ("GET", "/v1/responses/r/input_items"), ("DELETE", "/v1/responses/r"), ("POST", "/v1/messages/batches"),
    ("GET", "/v1/messages/batches/b/results"), ("POST", "/v1/threads/t/messages"), ("POST", "/v1/threads/t/runs"),
    ("POST", "/v1/images/generations"), ("POST", "/v1/files"), ("DELETE", "/v1/models/ft:gpt-4o:org::abc"),
    ("POST", "/v1/some/day/new"), ("POST", "/v1/rerank"), ("POST", "/v1/audio/speech"), ("PUT", "/v1//files"),
    ("POST", "/v1/conversations"), ("GET", "/v1/conversations/c"), ("DELETE", "/v1/conversations/c/items/msg_1"),
    ("POST", "/v1/files/file-1:content"), ("GET", "/v1/containers/c/files/f/content"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), PASSES)
def test_paths_that_ask_no_model_pass_as_they_are(method: str, path: str) -> None:
    scope: Any = {"method": method, "path": path, "raw_path": path.encode()}
    assert forwarded(scope).path == path[3:]


@pytest.mark.parametrize("path", ["/v1/files/..;/chat/completions", "/v1/files/%2e%2e%3b/x", "/v1/%25252e%25252e/x"])
def test_steps_up_are_refused_however_they_are_spelt(path: str) -> None:
    with pytest.raises((BadRequest, NotFound)):
        forwarded({"method": "POST", "path": path, "raw_path": path.encode()})


@pytest.mark.parametrize("path", ["/v1/models/", "/v1/Models", "/v1//models", "/v1/v1/models", "/v1/models;a=b"])
def test_the_list_of_models_has_one_spelling(path: str) -> None:
    with pytest.raises(NotFound, match="write it as GET /v1/models"):
        forwarded({"method": "GET", "path": path, "raw_path": path.encode()})


async def test_compact_is_routed_as_responses_are(proxy: Proxy, upstream: Running) -> None:
    for model in ("auto", CHEAP):
        upstream.clear()
        asked = {"model": model, "input": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "a"}]}
        await call(proxy, "POST", "/v1/responses/compact", json=asked)
        entries = upstream.log()
        assert {entry["path"] for entry in entries} == {"/v1/responses/compact"}
        asked_for = {orjson.loads(base64.b64decode(entry["body"]))["model"] for entry in entries}
        # The fake provider does not have the path: with a policy the other candidate is asked too.
        assert asked_for == ({CHEAP, STRONG} if model == "auto" else {CHEAP})
    rows = await proxy.ledger(2)
    assert [row["requested"] for row in rows] == ["auto", CHEAP]


async def test_a_wrong_body_of_compact_is_a_400(proxy: Proxy, upstream: Running) -> None:
    assert (await call(proxy, "POST", "/v1/responses/compact", json={"input": "hi"}))[0] == 400
    assert (await call(proxy, "POST", "/v1/responses/compact", json={"model": "auto", "input": 5}))[0] == 400
    assert upstream.log() == []


@pytest.mark.parametrize("model", ["auto", STRONG])
async def test_an_empty_input_is_served_as_an_empty_message_is(proxy: Proxy, upstream: Running, model: str) -> None:
    chat = await call(
        proxy, "POST", "/v1/chat/completions", json={"model": model, "messages": [{"role": "user", "content": ""}]}
    )
    responses = await call(proxy, "POST", "/v1/responses", json={"model": model, "input": ""})
    assert (chat[0], len(upstream.log())) == (200, 2)
    assert b"pgrouter" not in responses[1]
    rows = await proxy.ledger(2)
    assert len({row["reason"] for row in rows}) == 1

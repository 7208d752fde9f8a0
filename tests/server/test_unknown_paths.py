"""The error for a path that is not served gives the right base URL to a client with a wrong one."""

from __future__ import annotations

import openai
import pytest

from app.server.unknown_paths import message_for
from tests.support.proxy import Proxy


def message(path: str, method: str = "POST", host: bytes = b"localhost:8000") -> str:
    scope = {"type": "http", "method": method, "path": path, "scheme": "http", "headers": [(b"host", host)]}
    return message_for(scope, "Not Found")


@pytest.mark.parametrize(
    ("path", "below"),
    [
        ("/chat/completions", "/chat/completions"),
        ("/chat/completions/", "/chat/completions"),
        ("//chat//completions", "/chat/completions"),
        ("/V1/Chat/Completions", "/chat/completions"),
        ("/api/v1/chat/completions", "/chat/completions"),
        ("/openai/deployments/gpt-4o/chat/completions", "/chat/completions"),
        ("/completions", "/completions"),
        ("/responses", "/responses"),
        ("/responses/input_tokens", "/responses/input_tokens"),
        ("/messages", "/messages"),
        ("/embeddings", "/embeddings"),
        ("/models", "/models"),
    ],
)
def test_a_path_without_v1_is_answered_with_the_base_url(path: str, below: str) -> None:
    base = "http://localhost:8000/v1"
    assert message(path) == (
        f"POST {path} is not served here: the base URL of this router is {base}, "
        f"and this request belongs to {base}{below}."
    )


@pytest.mark.parametrize("path", ["/", "/chat", "/nothing", "/v1/router/models", "/v1/router/admin/models", "/xmodels"])
def test_any_other_path_is_just_not_served(path: str) -> None:
    assert message(path) == f"POST {path} is not served here: Not Found."


async def test_a_client_with_a_wrong_base_url_learns_the_right_one(proxy: Proxy) -> None:
    async with openai.AsyncOpenAI(base_url=proxy.url, api_key=proxy.key, max_retries=0) as client:
        with pytest.raises(openai.NotFoundError, match=f"the base URL of this router is {proxy.url}/v1,") as refused:
            await client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "hi"}])
    assert (refused.value.code, refused.value.type) == ("unknown_url", "invalid_request_error")

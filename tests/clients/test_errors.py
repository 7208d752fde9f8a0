"""Errors as the official clients raise them: the class of each, and the provider's message."""

from __future__ import annotations

from typing import Any

import anthropic
import openai
import pytest

from tests.support.clients import Front
from tests.support.proxy import STRONG

HELLO: Any = [{"role": "user", "content": "What is a café?"}]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, openai.BadRequestError),
        (403, openai.PermissionDeniedError),
        (404, openai.NotFoundError),
        (409, openai.ConflictError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
    ],
)
@pytest.mark.parametrize("path", ["chat", "responses"])
async def test_openais_client_raises_the_providers_error(
    front: Front, model: str, status: int, error: type[openai.APIStatusError], path: str
) -> None:
    told = {"x-fake": f"status={status};retry-after=0"}
    async with front.openai() as client:
        asked: Any = (
            client.chat.completions.create(model=model, messages=HELLO, extra_headers=told)
            if path == "chat"
            else client.responses.create(model=model, input="What is a café?", extra_headers=told)
        )
        with pytest.raises(error, match="The fake provider failed as planned") as caught:
            await asked
    assert caught.value.status_code == status
    assert caught.value.response.headers["retry-after"] == "0"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, anthropic.BadRequestError),
        (403, anthropic.PermissionDeniedError),
        (404, anthropic.NotFoundError),
        (429, anthropic.RateLimitError),
        (500, anthropic.InternalServerError),
        (529, anthropic.OverloadedError),
    ],
)
async def test_anthropics_client_raises_the_providers_error(
    front: Front, model: str, status: int, error: type[anthropic.APIStatusError]
) -> None:
    told = {"x-fake": f"status={status};retry-after=0"}
    async with front.anthropic() as client:
        with pytest.raises(error, match="The fake provider failed as planned") as caught:
            await client.messages.create(model=model, messages=HELLO, max_tokens=9, extra_headers=told)
    assert caught.value.status_code == status


async def test_a_wrong_key_is_an_authentication_error(front: Front) -> None:
    # The provider accepts any key unless it has one of its own; the proxy accepts only its tenants' keys.
    told = {"x-fake": "needs-key=another"} if front.proxy is None else {}
    async with front.openai() as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            await client.with_options(api_key="rk-wrong").chat.completions.create(
                model=STRONG, messages=HELLO, extra_headers=told
            )
    assert caught.value.code == "invalid_api_key"
    async with front.anthropic() as asked:
        with pytest.raises(anthropic.AuthenticationError) as refused:
            await asked.with_options(api_key="rk-wrong").messages.create(
                model=STRONG, messages=HELLO, max_tokens=9, extra_headers=told
            )
    body: Any = refused.value.body
    assert (body["type"], body["error"]["type"]) == ("error", "authentication_error")


async def test_anthropics_client_gets_an_error_naming_the_missing_field(front: Front) -> None:
    async with front.anthropic() as client:
        with pytest.raises(anthropic.BadRequestError, match="max_tokens: Field required"):
            await client.post(
                "/v1/messages", body={"model": STRONG, "messages": HELLO}, cast_to=anthropic.types.Message
            )


async def test_a_key_may_come_as_anthropic_takes_it(front: Front) -> None:
    headers = {"x-api-key": front.key, "anthropic-version": "2023-06-01"}
    body = {"model": front.model("auto"), "max_tokens": 9, "messages": HELLO}
    async with front.http() as http:
        del http.headers["authorization"]
        async with http.post("/v1/messages", json=body, headers=headers) as response:
            assert response.status == 200, await response.text()
            assert (await response.json())["type"] == "message"

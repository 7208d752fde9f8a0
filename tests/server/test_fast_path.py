"""The hot endpoints, which bypass Starlette, answer as Starlette would."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import Busy, DatabaseError, NotFound
from app.http.disconnect import ClientDisconnected
from app.http.responses import send_bytes
from app.server.error_handlers import handlers
from app.server.fast_path import Application
from app.server.middleware import RequestRecords
from app.telemetry.observer import Observer

OBSERVER = Observer(None)


class Endpoint:
    """Fails before or after its answer has begun, or answers, as the request specifies."""

    def __init__(self) -> None:
        self.fault: Exception | None = None
        self.started = False
        self.straight = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.straight = "router" not in scope
        if self.started:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        if self.fault is not None:
            raise self.fault
        await send_bytes(send, 200, [], scope["path"].encode() + b"?" + scope["query_string"])


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint()


@pytest.fixture
def starlette(endpoint: Endpoint) -> Starlette:
    return Starlette(
        routes=[Route("/hot", endpoint, methods=["POST"]), Route("/cold/{name}", endpoint, methods=["POST"])],
        middleware=[Middleware(RequestRecords, observer=OBSERVER)],
        exception_handlers=handlers,
    )


async def sent(app: ASGIApp, path: str = "/hot", method: str = "POST") -> list[Message]:
    """Return the messages of `app`, then the class of its exception, as a server would receive them."""
    messages: list[Message] = []

    async def send(message: Message) -> None:
        if messages and message["type"] == "http.response.start":
            raise RuntimeError("the answer has begun")
        messages.append(message)

    async def receive() -> Message:
        raise AssertionError("there is nothing to receive")

    scope: dict[str, Any] = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "server": ("h", 80),
        "path": path,
        "root_path": "",
        "query_string": b"a=b",
        "headers": [(b"x-request-id", b"its-name")],
    }
    try:
        await app(scope, receive, send)
    except Exception as error:
        # Starlette raises an error because the answer has begun, which a server would refuse, too.
        messages.append({"type": "raised", "class": RuntimeError if len(messages) == 1 else type(error)})
    for message in messages:
        message["headers"] = sorted(message.get("headers", []))
    return messages


@pytest.mark.parametrize(
    "fault",
    [
        None,
        NotFound("no"),
        Busy("later", seconds=3),
        ClientDisconnected(),
        DatabaseError("x", "22012", "x"),
        ValueError("y"),
    ],
    ids=lambda fault: type(fault).__name__,
)
async def test_answers_and_errors_are_starlettes(
    endpoint: Endpoint, starlette: Starlette, fault: Exception | None
) -> None:
    endpoint.fault = fault
    expected = await sent(starlette)
    assert not endpoint.straight
    assert await sent(Application(starlette, OBSERVER)) == expected
    assert endpoint.straight
    assert (b"x-request-id", b"its-name") in expected[0]["headers"]


@pytest.mark.parametrize("fault", [NotFound("no"), DatabaseError("x", "22012", "x"), ValueError("y")])
async def test_an_answer_that_has_begun_is_followed_by_no_other(
    endpoint: Endpoint, starlette: Starlette, fault: Exception
) -> None:
    endpoint.fault, endpoint.started = fault, True
    messages = await sent(Application(starlette, OBSERVER))
    assert [message["type"] for message in messages] == ["http.response.start", "raised"]


@pytest.mark.parametrize(("path", "method"), [("/cold/x", "POST"), ("/hot", "GET"), ("/hot/", "POST"), ("/", "GET")])
async def test_every_other_path_and_method_is_starlettes_to_answer(
    endpoint: Endpoint, starlette: Starlette, path: str, method: str
) -> None:
    assert await sent(Application(starlette, OBSERVER), path, method) == await sent(starlette, path, method)
    assert not endpoint.straight

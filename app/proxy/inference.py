"""The paths that ask a model: chat, responses, messages, completions, embeddings.

This is the hot path: plain ASGI, no request or response object, no task beside the server's own.
"""

from __future__ import annotations

import asyncio
import time

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from app.dialects import CHAT, COMPLETIONS, COUNT_TOKENS, EMBEDDINGS, INPUT_TOKENS, MESSAGES, RESPONSES, Dialect
from app.errors import RouterError
from app.http.disconnect import CLIENT_CLOSED_REQUEST, ClientDisconnected, until_disconnect
from app.http.responses import as_router_error
from app.proxy.exchange import Exchange
from app.services import services_of


class Inference:
    """An ASGI endpoint that has a model answer in one API, routing the request where it names a policy."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange(services_of(scope), scope, send, self.dialect, time.perf_counter())
        status, code = 500, None
        try:
            await exchange.prepare(receive)
            await until_disconnect(receive, exchange.serve(), scope)
            status = exchange.status
        except ClientDisconnected:
            status = CLIENT_CLOSED_REQUEST
        except (RouterError, asyncio.CancelledError) as caught:
            error = as_router_error(caught)
            status, code = error.status, error.code
            await exchange.down.break_off(error, exchange.router_headers())
            # Its traceback holds this frame.
            del error
        finally:
            exchange.over(status, code)


routes = [
    Route(f"/v1{dialect.path}", Inference(dialect), methods=["POST"])
    for dialect in (CHAT, RESPONSES, INPUT_TOKENS, MESSAGES, COUNT_TOKENS, COMPLETIONS, EMBEDDINGS)
]

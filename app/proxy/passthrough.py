"""Passthrough of every other path below /v1 (files, audio, images, batches …) to the tenant's provider, unchanged."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from functools import partial

import orjson
from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from ..accounting.ledger import decision_id
from ..catalog import Catalog
from ..dialects import CHAT, MESSAGES, RESPONSES, Dialect
from ..entities import Caller, Provider
from ..errors import Forbidden, NotFound, RouterError
from ..http.disconnect import CLIENT_CLOSED_REQUEST, ClientDisconnected, until_disconnect
from ..http.requests import bearer
from ..http.responses import as_router_error
from ..key_scopes import require_scope
from ..off_loop import off_loop
from ..services import Services, services_of
from ..telemetry.request_record import RequestRecord
from ..upstream.client import Reply
from .downstream import Downstream
from .families import Effect
from .paths import forwarded
from .stored_answers import holder_of_path
from .upload import Upload

_OWN = re.compile(r"/v1/router(/|$)")
#: The path that creates a conversation, and the most bytes of its answer that are read for the id.
_CONVERSATIONS = "/conversations"
_LONGEST = 1024 * 1024


class Passthrough:
    """An ASGI endpoint that passes request and answer through as they come."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        record = RequestRecord.of(scope)
        downstream = Downstream(send, _dialect(scope["path"]))
        try:
            upload = Upload(receive)
            await until_disconnect(upload.receive, _pass_through(services_of(scope), scope, record, upload, downstream))
        except ClientDisconnected:
            record.status = CLIENT_CLOSED_REQUEST
        except (RouterError, asyncio.CancelledError) as caught:
            await downstream.fail(as_router_error(caught), {})


def _dialect(path: str) -> Dialect:
    """Return the API whose clients read the errors of a path."""
    return MESSAGES if path.startswith("/v1/messages") else RESPONSES if path.startswith("/v1/responses") else CHAT


async def _pass_through(
    services: Services, scope: Scope, record: RequestRecord, upload: Upload, downstream: Downstream
) -> None:
    headers = dict(scope["headers"])
    caller = await services.directory.caller(bearer(headers))
    record.tenant = caller.tenant
    require_scope(caller, "ask")
    path, effect = forwarded(scope)
    if not services.settings.other_paths:
        raise NotFound(f"{scope['method']} {scope['path']} is not served here.", code="unknown_url")
    if caller.allowed_models is not None:
        raise Forbidden(f"This key is for some models alone, and {scope['path']} may ask any.")
    limits: dict[str, str] = {}
    if caller.metered:
        limits = await _admit(services, caller, scope, effect)
    provider = await _provider(services, caller, path, await services.directory.catalog())
    creates = scope["method"] == "POST" and path == _CONVERSATIONS
    length = headers.get(b"content-length")
    bodiless = length in (None, b"0") and b"transfer-encoding" not in headers
    reply = await services.upstream.send(
        provider,
        path,
        scope["query_string"],
        scope["headers"],
        None if bodiless else upload.chunks(),
        method=scope["method"],
        extra=() if length is None else (("content-length", length.decode("latin-1")),),
        plain=creates,
    )
    record.relayed = True
    try:
        if creates and reply.status < 400:
            await _claim_created(services, caller, reply)
        await downstream.relay_uncaptured(reply, limits)
    finally:
        reply.close()


async def _claim_created(services: Services, caller: Caller, reply: Reply) -> None:
    """Store that the conversation which a provider has created is the tenant's."""
    body = await reply.peek(_LONGEST)
    with suppress(ValueError, KeyError, TypeError):
        conversation = (await off_loop(len(body), partial(orjson.loads, body)))["id"]
        await services.affinity.claim(caller.tenant_id, str(conversation), None)


async def _admit(services: Services, caller: Caller, scope: Scope, effect: Effect) -> dict[str, str]:
    """Count a request of a caller with limits, and return the headers that report them.

    Raises `Forbidden` for what limits cannot count, `RateLimited`, and `BudgetSpent` if it may cost money and nothing
    is left: what it costs is not known.
    """
    if effect is Effect.BULK:
        raise Forbidden(
            f"{scope['method']} {scope['path']} orders more than limits can count, and this key or account has limits:"
            " send the requests one by one.",
            code="uncountable",
        )
    costs = (0.0,) if effect is Effect.FREE else ()
    return (await services.admission.admit(caller, decision_id(), 0, costs)).headers


async def _provider(services: Services, caller: Caller, path: str, catalog: Catalog) -> Provider:
    """Return the provider for a path below /v1 that names no model. Raises `NotFound` if there is no default."""
    holder = await holder_of_path(services.affinity, caller, path)
    if holder is not None and holder in catalog.by_id:
        return catalog.by_id[holder].provider
    named = catalog.providers.get(caller.default_provider or "")
    auto = caller.policies.get("auto")
    default = catalog.by_id.get(auto.default_model) if auto is not None else None
    chosen = named or (default.provider if default is not None else None)
    if path.startswith("/messages") and (chosen is None or "messages" not in chosen.speaks):
        chosen = next((each for each in catalog.providers.values() if "messages" in each.speaks), None)
    if chosen is None and len(catalog.providers) == 1:
        (chosen,) = catalog.providers.values()
    if chosen is None:
        raise NotFound(
            f"No provider serves /v1{path} for this tenant: it has no default provider, nor a policy `auto`.",
            code="unknown_url",
        )
    return chosen


class _AnyMethod(Route):
    """The last route: every method of every path below /v1, except for the router's own paths."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return how a request matches, as `Route.matches` does."""
        if scope["type"] == "http" and _OWN.match(scope["path"]):
            return Match.NONE, {}
        return super().matches(scope)


routes = [_AnyMethod("/v1/{path:path}", Passthrough())]

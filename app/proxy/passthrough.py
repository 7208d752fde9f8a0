"""Every other path below /v1: files, audio, images, batches …, passed through to the tenant's provider untouched."""

from __future__ import annotations

import asyncio
import re
from urllib.parse import unquote

from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from app.accounting.ledger import decision_id
from app.catalog import Catalog
from app.dialects import CHAT, COMPLETIONS, EMBEDDINGS, MESSAGES, RESPONSES
from app.entities import Caller, Provider
from app.errors import BadRequest, Forbidden, NotFound, RouterError
from app.http.disconnect import CLIENT_CLOSED_REQUEST, ClientDisconnected, until_disconnect
from app.http.requests import bearer
from app.http.responses import as_router_error
from app.http.scope import PASSED_ON, STATUS, TENANT
from app.proxy.downstream import Downstream
from app.proxy.upload import Upload
from app.services import Services, services_of

_OURS = re.compile(r"/v1/router(/|$)")
#: Paths that are counted and paid for where they are spelt like this.
_COUNTED = frozenset(f"/v1{each.path}" for each in (CHAT, RESPONSES, MESSAGES, COMPLETIONS, EMBEDDINGS))
_ANSWER = re.compile(r"/v1/responses/([^/]+)")


class Elsewhere:
    """An ASGI endpoint that passes a request through, body and answer as they come, whatever they are."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        down = Downstream(send, MESSAGES if scope["path"].startswith("/v1/messages") else CHAT)
        try:
            upload = Upload(receive)
            await until_disconnect(upload.receive, _pass_through(services_of(scope), scope, upload, down))
        except ClientDisconnected:
            scope[STATUS] = CLIENT_CLOSED_REQUEST
        except (RouterError, asyncio.CancelledError) as caught:
            await down.break_off(as_router_error(caught), {})


async def _pass_through(services: Services, scope: Scope, upload: Upload, down: Downstream) -> None:
    headers = dict(scope["headers"])
    caller = await services.directory.caller(bearer(headers))
    scope[TENANT] = caller.tenant
    path = _path(scope)
    if not services.settings.other_paths:
        raise NotFound(f"{scope['method']} {scope['path']} is not served here.", code="unknown_url")
    if caller.allowed_models is not None:
        raise Forbidden(f"This key is for some models alone, and {scope['path']} may ask any.")
    limits: dict[str, str] = {}
    if caller.metered:
        limits = (await services.admission.admit(caller, decision_id(), 0, ())).headers
    provider = await _provider(services, caller, scope["path"], await services.directory.catalog())
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
        plain=False,
    )
    scope[PASSED_ON] = True
    try:
        await down.through(reply, limits)
    finally:
        reply.close()


def _path(scope: Scope) -> str:
    """The path below /v1 as the client spelt it.

    Raises `BadRequest` for one that leads out of there, and `NotFound` for one that a provider might take for a path
    whose requests are counted: another case, a slash too many, letters in percent.
    """
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    path = raw.partition(b"?")[0].decode("latin-1")
    steps = re.split(r"[/\\]", unquote(unquote(path)))
    if ".." in steps or "." in steps or not path.startswith("/v1/"):
        raise BadRequest("The path has steps that lead elsewhere.", code="unknown_url")
    meant = "/" + "/".join(filter(None, steps)).lower()
    if meant in _COUNTED and scope["method"] == "POST":
        raise NotFound(f"Invalid URL: write it as POST {meant}.", code="unknown_url")
    return path[3:]


async def _provider(services: Services, caller: Caller, path: str, catalog: Catalog) -> Provider:
    """Who serves a path that names no model. Raises `NotFound`."""
    answer = _ANSWER.match(path)
    if answer is not None:
        held = await services.holders.find(caller.tenant_id, answer[1])
        if held is not None and held in catalog.by_id:
            return catalog.by_id[held].provider
    named = catalog.providers.get(caller.default_provider or "")
    auto = caller.policies.get("auto")
    default = catalog.by_id.get(auto.default_model) if auto is not None else None
    chosen = named or (default.provider if default is not None else None)
    if path.startswith("/v1/messages") and (chosen is None or "messages" not in chosen.speaks):
        chosen = next((each for each in catalog.providers.values() if "messages" in each.speaks), None)
    if chosen is None and len(catalog.providers) == 1:
        (chosen,) = catalog.providers.values()
    if chosen is None:
        raise NotFound(
            f"No provider serves {path} for this tenant: it has no default provider, nor a policy `auto`.",
            code="unknown_url",
        )
    return chosen


class _Rest(Route):
    """What no other route serves, by any method; of the router's own paths there is nothing to pass through."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As a route's, which is asked after all the others."""
        if scope["type"] == "http" and _OURS.match(scope["path"]):
            return Match.NONE, {}
        return super().matches(scope)


routes = [_Rest("/v1/{path:path}", Elsewhere())]

"""How many tokens a prompt has: a policy's prompts are counted by the model that it serves by default."""

from __future__ import annotations

from dataclasses import replace

from starlette.routing import Route
from starlette.types import Scope

from app.body import with_model
from app.dialects import MESSAGES, RESPONSES, Dialect
from app.endpoints.elsewhere import Elsewhere
from app.endpoints.http import bearer
from app.endpoints.upload import Upload
from app.errors import BadRequest
from app.router import NO_OPTIONS
from app.services import Services
from app.upstream import Reply
from app.validation import parse_object

_NOT_ROUTED = replace(NO_OPTIONS, routed=False)


class TokenCounts(Elsewhere):
    """An ASGI endpoint that asks whoever serves a model, as it is asked for answers; `path` is below its base URL."""

    def __init__(self, dialect: Dialect, path: str) -> None:
        self.dialect = dialect
        self.path = self.route = path

    async def ask(self, services: Services, scope: Scope, upload: Upload) -> Reply:
        """Send the prompt to the provider of its model; returns once the answer has begun."""
        caller = await services.directory.caller(bearer(dict(scope["headers"])))
        raw = await upload.whole(services.settings.max_body)
        body = parse_object(raw)
        if not isinstance(body.get("model"), str) or not body["model"]:
            raise BadRequest("`model` must be the name of a model or of a policy.", param="model")
        catalogue = await services.directory.catalogue()
        plan = await services.router.plan(caller, body, _NOT_ROUTED, catalogue, self.dialect)
        model = plan.models[0]
        if model.upstream_name != body["model"]:
            raw = with_model(raw, model.upstream_name)
        return await services.upstream.send(
            model.provider, self.path, scope["query_string"], scope["headers"], raw, plain=False
        )


routes = [
    Route(f"/v1{path}", TokenCounts(dialect, path), methods=["POST"])
    for dialect, path in ((MESSAGES, "/messages/count_tokens"), (RESPONSES, "/responses/input_tokens"))
]

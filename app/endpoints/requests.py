"""Requests to the JSON API: the caller and its policy, the body and the query string."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, BeforeValidator
from starlette.requests import Request

from ..dialects.markers import markers_of
from ..entities import Caller, Policy
from ..errors import BadRequest, NotFound
from ..http.requests import bearer, read_body
from ..http.validation import parsed_object, validated
from ..key_scopes import require_scope
from ..memory.examples import TextRules
from ..services import Services, services_of
from ..telemetry.request_record import RequestRecord
from .openapi.operation import OPERATION, Operation

M = TypeVar("M", bound=BaseModel)

#: The digits of the largest bigint; int() refuses very long numbers with an error of its own.
_DIGITS = 19


def _digits(value: object) -> object:
    if isinstance(value, str) and not (len(value) <= _DIGITS and value.isdecimal()):
        raise ValueError(f"{value[:_DIGITS]!r} is not a whole number of at most {_DIGITS} digits")
    return value


#: Annotates a whole number in a query string.
DIGITS = BeforeValidator(_digits)


async def authenticate(request: Request) -> tuple[Services, Caller]:
    """Return the services of the process, and the caller that the API key belongs to.

    Raises `Unauthorized`, and `Forbidden` if the key lacks the scope of the operation.
    """
    services = services_of(request.scope)
    caller = await services.directory.caller(bearer(dict(request.scope["headers"])))
    RequestRecord.of(request.scope).tenant = caller.tenant
    operation: Operation = request.scope[OPERATION]
    assert operation.scope is not None, "an operation for tenants needs a scope"
    require_scope(caller, operation.scope)
    return services, caller


async def raw_body(request: Request) -> bytes:
    """Return the request's body. Raises as `read_body` does."""
    services, headers = services_of(request.scope), dict(request.scope["headers"])
    return await read_body(request.scope, request.receive, headers, services.settings.max_body, services.bodies)


async def parse_body(request: Request, model: type[M], *, optional: bool = False) -> M:
    """Return the request's body as `model`; if it is `optional`, no body is an empty object.

    Raises `BadRequest` naming the first field that is wrong.
    """
    raw = await raw_body(request)
    return validated(model, {} if optional and not raw else await parsed_object(raw))


def parse_query(request: Request, model: type[M]) -> M:
    """Return the query string as `model`. Raises `BadRequest` naming the first parameter that is wrong."""
    if model.model_config.get("extra") == "forbid":
        for name in request.query_params:
            if name not in model.model_fields:
                known = ", ".join(model.model_fields)
                raise BadRequest(f"{name}: unknown parameter; the parameters are {known}.", param=name)
    return validated(model, dict(request.query_params))


def text_rules(services: Services, caller: Caller) -> TextRules:
    """Return how the texts of the caller's prompts and messages are derived."""
    return TextRules(markers_of(services.settings.markers), caller.policies)


def policy_of(caller: Caller, name: str, param: str) -> Policy:
    """Return the caller's policy of that name. Raises `NotFound` naming `param`."""
    policy = caller.policies.get(name)
    if policy is None:
        raise NotFound(f"There is no policy {name!r}.", param=param, code="model_not_found")
    return policy

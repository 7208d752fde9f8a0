"""What the master key may do."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from app.endpoints.admin import PREFIX
from app.endpoints.admin.keys import KeyChange, NewKey, Rotation
from app.endpoints.admin.limits import Limits
from app.endpoints.admin.models import PutModel, Refresh
from app.endpoints.admin.policies import PutPolicy
from app.endpoints.admin.prices import TenantPrice
from app.endpoints.admin.providers import PutProvider
from app.endpoints.admin.tenants import NewTenant, TenantChange
from app.endpoints.openapi.operation import Operation, Schema, fields, listing, of, parameter, thing
from app.endpoints.openapi.router import USAGE, USED_WHEN

_TENANT_FIELDS: dict[str, str | Schema] = {
    "id": "integer", "name": "string", "memory_cap": "integer", "memories": "integer", "keys": "integer",
    "policies": "integer", "graduated": "boolean", "store_prompts": "boolean", "route_explicit": "boolean",
    "space": "string?", "building": "string?", "shared": "boolean", "base": "string?", "default_provider": "string?",
    "created_at": "time",
}  # fmt: skip
_TENANT = thing("router.tenant", **_TENANT_FIELDS)
_KEY_FIELDS: dict[str, str | Schema] = {
    "id": "integer", "hint": "string", "name": "string", "created_at": "time", "expires_at": "time?",
    "revoked_at": "time?", "models": {"anyOf": [of("[string]"), {"type": "null"}]},
}  # fmt: skip
_KEY = thing("router.key", **_KEY_FIELDS)
_PROVIDER = thing(
    "router.provider", id="integer", name="string", base_url="string", key_variable="string?", speaks="[string]",
    key_header="string", models="integer",
)  # fmt: skip
_ABILITIES: dict[str, str | Schema] = {
    "name": "string", "provider": "string", "context_window": "integer?", "max_output": "integer?", "tools": "boolean?",
    "parallel_tools": "boolean?", "vision": "boolean?", "audio": "boolean?", "json_schema": "boolean?",
    "reasoning": "boolean?",
}  # fmt: skip
_MODEL_FIELDS: dict[str, str | Schema] = {
    "id": "integer", "upstream_name": "string", "input_price": "number?", "cached_input_price": "number?",
    "output_price": "number?", "priced_on": "day?", "enabled": "boolean", **_ABILITIES,
}  # fmt: skip
_MODEL = thing("router.model", **_MODEL_FIELDS)
_POLICY_FIELDS: dict[str, str | Schema] = {
    "id": "integer", "name": "string", "backend": "string", "default_model": "string", "models": "[string]",
    "weights": "[number]", "granularity": "string", "alpha": "number", "k": "integer",
    "tau": {"anyOf": [{"type": "number"}, {"const": "infinity"}]},
}  # fmt: skip
_POLICY = thing("router.policy", **_POLICY_FIELDS)
_PRICE = thing(
    "router.price", model="string", provider="string", input_price="number?", cached_input_price="number?",
    output_price="number?", priced_on="day?", origin="string?",
)  # fmt: skip
_LIMITS = thing(
    "router.limits", key_id="integer?", requests_per_minute="integer?", tokens_per_minute="integer?",
    day_usd="number?", month_usd="number?",
)  # fmt: skip
_UNLIMITED = thing("router.limits", key_id="integer?", deleted={"const": True})
_NOTES: Schema = {"type": "array", "items": {"type": "string"}, "description": "What people should know of it."}


def _deleted(kind: str, named: str = "name") -> Schema:
    return thing(f"router.{kind}", deleted={"const": True}, **{named: "string"})


def _admin(
    method: str,
    path: str,
    summary: str,
    answer: Schema,
    *errors: int,
    body: type[BaseModel] | None = None,
    status: int = 200,
    **more: Any,
) -> Operation:
    #: 403: the login of the database may not administer; 404: no master key is set, too.
    always = (400, 403, 404, *errors)
    return Operation(
        method, PREFIX + path, summary, "administration", {status: answer}, always, body=body, key="master", **more
    )


OPERATIONS = (
    _admin("GET", "/tenants", "Every tenant.", listing(_TENANT)),
    _admin(
        "POST", "/tenants", "Make a tenant; its key is shown once.",
        thing("router.tenant", policy="any", api_key="string?", **_TENANT_FIELDS), 409, body=NewTenant, status=201,
    ),
    _admin("GET", "/tenants/{tenant}", "One tenant.", _TENANT),
    _admin("PATCH", "/tenants/{tenant}", "Change what is named of a tenant.", _TENANT, 409, body=TenantChange),
    _admin(
        "DELETE", "/tenants/{tenant}", "Delete a tenant with all it has.", _deleted("tenant"),
        parameters=(parameter("confirm", "query", "The tenant's name again.", required=True),),
    ),
    _admin("GET", "/tenants/{tenant}/keys", "A tenant's keys.", listing(_KEY)),
    _admin(
        "POST", "/tenants/{tenant}/keys", "Make a key; it is shown once.",
        thing("router.key", api_key="string", **_KEY_FIELDS), body=NewKey, status=201,
    ),
    _admin("PATCH", "/tenants/{tenant}/keys/{key_id}", "Change what is named of a key.", _KEY, body=KeyChange),
    _admin("DELETE", "/tenants/{tenant}/keys/{key_id}", "Revoke a key.", _KEY),
    _admin(
        "POST", "/tenants/{tenant}/keys/{key_id}/rotate", "Make a key in the place of one, which may have a grace.",
        thing("router.key", api_key="string", replaces=_KEY, **_KEY_FIELDS), body=Rotation,
        body_needed=False, status=201,
    ),
    _admin("GET", "/tenants/{tenant}/policies", "A tenant's policies.", listing(_POLICY)),
    _admin(
        "PUT", "/tenants/{tenant}/policies/{policy}", "Add a policy, or change one.",
        thing("router.policy", notes=_NOTES, **_POLICY_FIELDS), 409, body=PutPolicy,
    ),
    _admin("DELETE", "/tenants/{tenant}/policies/{policy}", "Delete a policy.", _deleted("policy")),
    _admin("GET", "/tenants/{tenant}/prices", "What a tenant pays.", listing(_PRICE)),
    _admin(
        "PUT", "/tenants/{tenant}/prices/{model}", "Let a tenant pay a price of its own.", _PRICE, 409, body=TenantPrice
    ),
    _admin(
        "DELETE", "/tenants/{tenant}/prices/{model}", "Let a tenant pay the model's price.",
        _deleted("price", "model"), 409,
    ),
    _admin("GET", "/tenants/{tenant}/limits", "A tenant's limits and its keys', with what is left.", listing(_LIMITS)),
    *(
        each
        for whose, of_whom in (("", "a tenant"), ("/keys/{key_id}", "a key"))
        for each in (
            _admin("PUT", f"/tenants/{{tenant}}{whose}/limits", f"Set all limits of {of_whom}.", _LIMITS, body=Limits),
            _admin("DELETE", f"/tenants/{{tenant}}{whose}/limits", f"Take the limits of {of_whom} away.", _UNLIMITED),
        )
    ),
    _admin("GET", "/usage", "What every tenant used and spent, by tenant first.", USAGE, parameters=USED_WHEN),
    _admin("GET", "/providers", "Every provider.", listing(_PROVIDER)),
    _admin("PUT", "/providers/{provider}", "Add a provider, or change one.", _PROVIDER, body=PutProvider),
    _admin("DELETE", "/providers/{provider}", "Delete a provider that serves no model.", _deleted("provider"), 409),
    _admin("GET", "/models", "Every model, the disabled ones too.", listing(_MODEL)),
    _admin(
        "POST", "/models/refresh", "Ask providers what models can do, and fill in what is unknown.",
        listing(fields(**_ABILITIES), notes=_NOTES), body=Refresh, body_needed=False,
    ),
    _admin("GET", "/models/{model}", "One model.", _MODEL),
    _admin(
        "PUT", "/models/{model}", "Add a model, or change one.",
        thing("router.model", notes=_NOTES, **_MODEL_FIELDS), 409, body=PutModel,
    ),
)  # fmt: skip

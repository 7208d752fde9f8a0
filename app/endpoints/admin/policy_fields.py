"""The fields of policy settings in requests and responses, made from the table of settings."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from ...policy_settings import POLICY_SETTINGS, PolicySetting

#: JSON has no infinity.
INFINITY = "infinity"


def _infinite(value: object) -> object:
    return float("inf") if value == INFINITY else value


def finite(value: Any) -> Any:
    """Return a value of a setting as JSON has it."""
    return INFINITY if value == float("inf") else value


def _type(setting: PolicySetting) -> Any:
    """Return the type of a setting in a request."""
    if setting.choices:
        return Literal[setting.choices]
    if setting.kind is int:
        return Annotated[int, Field(ge=setting.low, le=setting.high)]
    if setting.high == float("inf"):
        schema = {"anyOf": [{"type": "number", "minimum": setting.low}, {"const": INFINITY}]}
        return Annotated[float, Field(ge=setting.low), BeforeValidator(_infinite), WithJsonSchema(schema)]
    return Annotated[float, Field(ge=setting.low, le=setting.high, allow_inf_nan=False)]


def _shown_type(setting: PolicySetting) -> Any:
    """Return the type of a setting in a response."""
    if setting.choices:
        return Literal[setting.choices]
    return float | Literal["infinity"] if setting.high == float("inf") else setting.kind


def _description(setting: PolicySetting) -> str:
    return f"{setting.help[:1].upper()}{setting.help[1:]}."


#: Definitions for `create_model`, by name: of optional fields in a request.
REQUEST_FIELDS: dict[str, Any] = {
    setting.name: (_type(setting) | None, Field(None, description=_description(setting)))
    for setting in POLICY_SETTINGS.values()
}
#: The same of fields in a response.
RESPONSE_FIELDS: dict[str, Any] = {
    setting.name: (_shown_type(setting), Field(description=_description(setting)))
    for setting in POLICY_SETTINGS.values()
}

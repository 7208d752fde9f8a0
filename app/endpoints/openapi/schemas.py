"""JSON Schemas of request and response models."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from .operation import Schema

REF = "#/components/schemas/{model}"

#: Of a type that is read, or of one that is written: a field with a default is required in the latter only.
Mode = Literal["validation", "serialization"]


class _Generator(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:
        # `taught_at` needs no title `Taught At`.
        return False

    def normalize_name(self, name: str) -> str:
        # `Listing[Tenant]` is `ListingTenant`.
        return re.sub(r"\W", "", name)


def schemas_of(types: Iterable[tuple[Any, Mode]]) -> tuple[dict[tuple[Any, Mode], Schema], dict[str, Schema]]:
    """The schema of each type, and the components that these refer to, by name."""
    wanted = list(dict.fromkeys(types))
    inputs = [((kind, mode), mode, TypeAdapter(kind).core_schema) for kind, mode in wanted]
    found, components = _Generator(ref_template=REF).generate_definitions(inputs)
    return {each: found[each, each[1]] for each in wanted}, {str(name): schema for name, schema in components.items()}


def query_parameters(model: type[BaseModel]) -> list[Schema]:
    """A query string as OpenAPI's parameters; a field that may be None may be left out."""
    schema = model.model_json_schema(schema_generator=_Generator)
    return [
        {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "description": field.pop("description"),
            "schema": _without_null(field),
        }
        for name, field in schema["properties"].items()
    ]


def _without_null(schema: Schema) -> Schema:
    if schema.get("default", ...) is None:
        del schema["default"]
    kinds = [kind for kind in schema.pop("anyOf", ()) if kind != {"type": "null"}]
    return {**schema, **(kinds[0] if len(kinds) == 1 else {"anyOf": kinds} if kinds else {})}

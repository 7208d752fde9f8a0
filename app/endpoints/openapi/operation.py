"""What the document is put together from: operations, and short ways to write a schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]

JSON = "application/json"
EVENTS = "text/event-stream"

#: What is always possible where a key is needed.
_KEYED = (401,)
#: Where Postgres has to answer.
_STORED = (503,)
#: Where a body is read.
_READ = (400, 413)


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that can be asked, by method and path.

    `answers` are the good ones by status: a schema of JSON, or schemas by media type; `errors` are the statuses that
    come on top of those that follow from the rest. `key`: whose is needed, of `tenant` and `master`. `body`: a model, a
    schema, or schemas by media type. `passes`: a provider's answer may come instead, whatever it is. `error`: the
    component that errors look like; `via`: the route that serves it, where that has another path.
    """

    method: str
    path: str
    summary: str
    tag: str
    answers: Mapping[int, Schema]
    errors: tuple[int, ...] = ()
    parameters: tuple[Schema, ...] = ()
    body: type[BaseModel] | Schema | None = None
    body_needed: bool = True
    key: str | None = "tenant"
    stored: bool = True
    passes: bool = False
    error: str = "Error"
    via: str | None = None

    @property
    def refused(self) -> list[int]:
        """The statuses of every error it may end with."""
        found = set(self.errors)
        if self.key is not None:
            found |= {*_KEYED}
        if self.stored:
            found |= {*_STORED}
        if self.body is not None:
            found |= {*_READ}
        return sorted(found)


def fields(**types: str | Schema) -> Schema:
    """An object that has all of these; more may come with later versions.

    A type is a name of JSON Schema, `string?` where it may be null, `[string]` for a list, `time` and `day`; or a
    schema.
    """
    return {
        "type": "object",
        "required": list(types),
        "properties": {name: of(kind) if isinstance(kind, str) else kind for name, kind in types.items()},
    }


def of(kind: str) -> Schema:
    """The schema of a type as `fields` writes it."""
    if kind.endswith("?"):
        return {"anyOf": [of(kind[:-1]), {"type": "null"}]}
    if kind.startswith("["):
        return {"type": "array", "items": of(kind[1:-1])}
    if kind == "any":
        return {}
    return {"time": {"type": "string", "format": "date-time"}, "day": {"type": "string", "format": "date"}}.get(
        kind, {"type": kind}
    )


def thing(name: str, /, **types: str | Schema) -> Schema:
    """An object that says in `object` what it is."""
    return fields(object={"const": name}, **types)


def listing(item: Schema, /, **more: str | Schema) -> Schema:
    """OpenAI's list of such."""
    return thing("list", data={"type": "array", "items": item}, **more)


def parameter(
    name: str, where: str, description: str, schema: Schema | None = None, *, required: bool | None = None
) -> Schema:
    """A parameter in the `query`, the `path` or a `header`; those in the path are always required."""
    return {
        "name": name,
        "in": where,
        "required": where == "path" if required is None else required,
        "description": description,
        "schema": schema or {"type": "string"},
    }

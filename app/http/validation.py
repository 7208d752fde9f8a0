"""Parses and validates request bodies, and names the first invalid field."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from ..errors import BadRequest

M = TypeVar("M", bound=BaseModel)


def parse_object(raw: bytes) -> dict[str, Any]:
    """Parse `raw` as a JSON object. Raises `BadRequest` if it is none."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        # Clients send lone surrogates, 1e400 and byte order marks, which orjson rejects; the provider may accept them.
        try:
            # Decoded here as UTF-8, because json.loads also detects UTF-16, in whose bytes no field is found later.
            body = json.loads(raw.decode("utf-8-sig", "surrogatepass"))
        except (ValueError, RecursionError):
            raise BadRequest(f"The request body is not JSON: {error}.") from None
    if not isinstance(body, dict):
        raise BadRequest("The request body must be a JSON object.")
    return body


def validated(model: type[M], body: dict[str, Any]) -> M:
    """Validate `body` as `model`. Raises `BadRequest` naming the first invalid field."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        param = field_path(first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise BadRequest(f"{param}: {message}." if param else f"{message}.", param=param) from None


def field_path(location: Iterable[str | int]) -> str | None:
    """Format a location: `("examples", 3, "scores", "gpt-4o")` becomes `examples[3].scores.gpt-4o`."""
    path = ""
    for step in location:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else str(step)
    return path or None

"""Reads what came from outside as JSON or as a model, and names the first field that is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from app.errors import BadRequest

M = TypeVar("M", bound=BaseModel)


def parse_object(raw: bytes) -> dict[str, Any]:
    """`raw` as a JSON object. Raises `BadRequest` when it is none."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        # Half a surrogate pair, 1e400, a byte order mark: clients send them, and it is the provider who may refuse.
        try:
            # UTF-8 alone: json.loads would take UTF-16 too, in which no field is found later.
            body = json.loads(raw.decode("utf-8-sig", "surrogatepass"))
        except (ValueError, RecursionError):
            raise BadRequest(f"The request body is not JSON: {error}.") from None
    if not isinstance(body, dict):
        raise BadRequest("The request body must be a JSON object.")
    return body


def validated(model: type[M], body: dict[str, Any]) -> M:
    """`body` as `model`. Raises `BadRequest` naming the first field that is wrong."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        param = field_path(first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise BadRequest(f"{param}: {message}." if param else f"{message}.", param=param) from None


def field_path(location: Iterable[str | int]) -> str | None:
    """`("examples", 3, "scores", "gpt-4o")` as `examples[3].scores.gpt-4o`."""
    path = ""
    for step in location:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else str(step)
    return path or None

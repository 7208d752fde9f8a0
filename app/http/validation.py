"""Parses and validates request bodies, and names the first invalid field."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError

from ..errors import BadRequest, TooLarge
from ..json_outline import outline
from ..off_loop import LARGE, off_loop

M = TypeVar("M", bound=BaseModel)

#: Values that a large body may have, and those of them that are objects, lists or members of objects. The parser
#: keeps the interpreter's lock to its end: these take it about 25 ms each, and 20 MB of text as long.
MOST_VALUES = 400_000
MOST_PARTS = 100_000
#: Nesting of a large body; the parsers give up at about this depth.
DEEPEST = 1_000


async def parsed_object(raw: bytes) -> dict[str, Any]:
    """Parse `raw` as a JSON object; a large one in a thread. Raises `BadRequest` and `TooLarge`."""
    return await off_loop(len(raw), lambda: parse_object(raw))


def parse_object(raw: bytes) -> dict[str, Any]:
    """Parse `raw` as a JSON object.

    Raises `BadRequest` if it is none, and `TooLarge` if it is large and has more values than a parser reads in time.
    """
    if len(raw) >= LARGE:
        check_size(raw)
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


def check_size(raw: bytes, what: str = "The request body") -> None:
    """Raise `BadRequest` or `TooLarge` if a parser would read `raw`, a JSON value, for too long."""
    found = outline(raw)
    if found.depth > DEEPEST:
        raise BadRequest(f"{what} is nested {found.depth} deep: at most {DEEPEST} are allowed.")
    if found.containers + found.commas > MOST_VALUES:
        raise TooLarge(f"{what} has more than {MOST_VALUES} values.")
    if found.containers + found.members > MOST_PARTS:
        raise TooLarge(f"{what} has more than {MOST_PARTS} objects, lists and members.")


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

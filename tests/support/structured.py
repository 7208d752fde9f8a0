"""Schemas of structured answers and of tools."""

from __future__ import annotations

from pydantic import BaseModel

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


class Person(BaseModel):
    """The schema of a structured answer."""

    name: str
    age: int
    tags: list[str]

"""Three sample requests: one for the small model, one for the large one, and one on which routing declines."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import orjson

from .dataset import Example, examples


@dataclass(frozen=True, slots=True)
class Sample:
    """A request with a showcase prompt, and what a newly taught demo answers it with."""

    title: str
    #: The showcase example whose prompt is sent.
    example_id: str
    #: Expected values of the answer's headers x-router-model and x-router-reason.
    model: str
    reason: str
    #: Fields of the request besides `model` and `messages`.
    fields: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def example(self) -> Example:
        """The showcase example."""
        return next(example for example in examples() if example.id == self.example_id)

    def body(self) -> dict[str, Any]:
        """Return the body of the chat completion request."""
        return {"model": "auto", "messages": [{"role": "user", "content": self.example.prompt}], **self.fields}

    def curl(self, base_url: str) -> str:
        """Return the request as a shell command that reads the API key from $PGROUTER_KEY and prints the headers."""
        return (
            f'curl -si {shlex.quote(base_url)}/chat/completions -H "Authorization: Bearer $PGROUTER_KEY" '
            f"-H 'Content-Type: application/json' -d {shlex.quote(orjson.dumps(self.body()).decode())}"
        )


_CONTACT = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("name", "role", "phone", "email")},
    "required": ["name", "role", "phone", "email"],
    "additionalProperties": False,
}

SMALL = Sample("an easy one", "extracting-fields-36", "demo-small", "learned")
LARGE = Sample("a hard one", "arithmetic-36", "demo-large", "learned")
DECLINED = Sample(
    "one that needs what only one model can do",
    "extracting-fields-39",
    "demo-large",
    "capability",
    MappingProxyType(
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "contact", "strict": True, "schema": _CONTACT},
            }
        }
    ),
)
SAMPLES = (SMALL, LARGE, DECLINED)

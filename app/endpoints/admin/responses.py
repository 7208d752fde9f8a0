"""Shapes that responses of the admin API share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

Notes = Annotated[list[str], Field(description="Remarks, for people.")]


class Deleted(TypedDict):
    """The deleted object."""

    object: Annotated[str, Field(description="The kind: router.tenant, router.policy or router.provider.")]
    name: str
    deleted: Literal[True]


def deleted(kind: str, name: str) -> Deleted:
    """Return the response to a deletion of a tenant, policy or provider."""
    return {"object": f"router.{kind}", "name": name, "deleted": True}

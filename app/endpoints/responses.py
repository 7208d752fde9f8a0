"""Shapes that responses of the JSON API share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, Literal, TypeVar, cast

from typing_extensions import TypedDict

T = TypeVar("T")


class Listing(TypedDict, Generic[T]):
    """OpenAI's list object."""

    object: Literal["list"]
    data: list[T]


def listing(items: list[T]) -> Listing[T]:
    """Return OpenAI's list object with these items."""
    return {"object": "list", "data": items}


def select(shape: type[T], row: Mapping[str, Any], **others: Any) -> T:
    """Return the fields that `shape`, a TypedDict, declares: those in `others`, and the rest from `row`."""
    return cast(T, {name: others[name] if name in others else row[name] for name in shape.__annotations__})

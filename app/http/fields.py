"""Field types that request bodies share."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field


def storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("the text holds a NUL character, which Postgres cannot store")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("the text holds half a surrogate pair, which is no character") from None
    if not text.strip():
        raise ValueError("the text is empty")
    return text


Text = Annotated[str, AfterValidator(storable)]


Tag = Annotated[str, Field(max_length=100), AfterValidator(storable)]


Score = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, strict=True)]


Tokens = Annotated[int, Field(ge=0, le=10_000_000, strict=True)]

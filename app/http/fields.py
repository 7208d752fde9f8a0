"""Field types of request bodies."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field


def check_storable(text: str) -> str:
    """Return `text` if Postgres can store it and it is not blank, else raise `ValueError`."""
    if "\0" in text:
        raise ValueError("the text contains a NUL character, which Postgres cannot store")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("the text contains a lone surrogate, which is no valid character") from None
    if not text.strip():
        raise ValueError("the text is empty")
    return text


#: Text that Postgres can store.
Text = Annotated[str, AfterValidator(check_storable)]
#: The name of a task.
Tag = Annotated[str, Field(max_length=100), AfterValidator(check_storable)]
#: The quality of an answer, 0 to 1.
Score = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, strict=True)]
#: The length of an answer in tokens; of several answers the mean, which may be a fraction.
Tokens = Annotated[float, Field(ge=0, le=10_000_000, allow_inf_nan=False, strict=True)]

"""Parses JSON that is the text of a cell or field."""

from __future__ import annotations

from typing import Any

import orjson

from ...errors import RouterError
from ...http.validation import check_size
from ...off_loop import LARGE


class TooMuch(ValueError):
    """The text has more values than a parser reads in time."""


def loads(text: str) -> Any:
    """Return the value of JSON. Raises `ValueError`, for a large text that has too many values `TooMuch`."""
    if len(text) >= LARGE:
        try:
            check_size(text.encode("utf-8", "surrogatepass"), "the text")
        except RouterError as error:
            raise TooMuch(error.message.removesuffix(".")) from None
    return orjson.loads(text)

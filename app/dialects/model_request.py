"""A request for a model: its JSON body, parsed at most once, when something first needs it."""

from __future__ import annotations

from typing import Any

from ..errors import BadRequest
from . import Dialect, ParsedRequest
from .prompt import prompt_tokens
from .tokens import Count


class ModelRequest:
    """The body of a request in one API. `tokens`: the prompt's, once `count_tokens` has counted them."""

    __slots__ = ("_parsed", "body", "dialect", "size", "tokens")

    def __init__(self, dialect: Dialect, body: dict[str, Any], size: int = 0) -> None:
        """`body`: a JSON object whose `model` is a string; `size`: its bytes, by which work on it leaves the loop."""
        self.size = size
        self.dialect = dialect
        self.body = body
        self.tokens: int | None = None
        self._parsed: ParsedRequest | None = None

    @property
    def model(self) -> str:
        """The name in `model`, of a model or of a policy."""
        name: str = self.body["model"]
        return name

    @property
    def streamed(self) -> bool:
        """Whether the client asks for a stream of events."""
        return self.body.get("stream") is True

    @property
    def parsed(self) -> ParsedRequest:
        """The parsed body. Raises `BadRequest` naming the field that is wrong."""
        if self._parsed is None:
            self._parsed = self.dialect.read(self.body)
        return self._parsed

    def parsed_or_none(self) -> ParsedRequest | None:
        """Return the parsed body, or None if a field is wrong: the provider then rejects the request itself."""
        try:
            return self.parsed
        except BadRequest:
            return None

    def count_tokens(self, count: Count) -> int:
        """Count the prompt's tokens with the tokenizer `count`. Raises as `parsed` does."""
        self.tokens = prompt_tokens(self.parsed, count)
        return self.tokens

    def prompt_tokens(self) -> int | None:
        """Return the prompt's tokens as counted, else an estimate; None if the body cannot be parsed."""
        if self.tokens is not None:
            return self.tokens
        parsed = self.parsed_or_none()
        return None if parsed is None else prompt_tokens(parsed)

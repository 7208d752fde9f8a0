"""Tokens as a provider reports them: never a guess, never 0 for unknown."""

from __future__ import annotations

from typing import NamedTuple


class TokenUsage(NamedTuple):
    """Tokens as reported; None where the provider said nothing.

    `cached_tokens` are among the prompt's, `reasoning_tokens` among the completion's.
    """

    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None

    def or_else(self, earlier: TokenUsage) -> TokenUsage:
        """This, and what an earlier report said where this one is silent."""
        return TokenUsage(*(mine if mine is not None else theirs for mine, theirs in zip(self, earlier, strict=True)))


UNKNOWN = TokenUsage()
NOTHING = TokenUsage(0, None, 0)

"""Token usage as reported by a provider: not estimated, and None instead of 0 if unknown."""

from __future__ import annotations

from typing import NamedTuple


class TokenUsage(NamedTuple):
    """Reported token counts, None: not reported.

    `cached_tokens` are part of `prompt_tokens`, `reasoning_tokens` are part of `completion_tokens`.
    """

    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None

    def or_else(self, earlier: TokenUsage) -> TokenUsage:
        """Return this usage with its missing counts taken from `earlier`."""
        return TokenUsage(*(mine if mine is not None else theirs for mine, theirs in zip(self, earlier, strict=True)))


UNKNOWN = TokenUsage()
NOTHING = TokenUsage(0, None, 0)

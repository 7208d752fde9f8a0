"""Token usage as reported by a provider: not estimated, and None instead of 0 if unknown."""

from __future__ import annotations

from typing import NamedTuple

#: The largest token count that is believed. The sum of four of them fits an int of Postgres.
MAX_TOKENS = 2**28

# Why a report could not be explained: values of the column `router.decisions.usage_unexplained`.
#: The report has the names of no convention.
SHAPE = "shape"
#: A count is no whole number from 0 to `MAX_TOKENS`.
INVALID = "invalid"
#: The prompt's or the completion's count is missing.
PARTIAL = "partial"
#: The counts add up to the total in no way that a convention has.
TOTAL = "total"
#: All counts are 0, or a later event takes the prompt back.
ZERO = "zero"


class TokenUsage(NamedTuple):
    """Reported token counts, None: not reported.

    `cached_tokens` are part of `prompt_tokens`, `reasoning_tokens` are part of `completion_tokens`. `unexplained`: why
    the report fits no convention; its counts are then the larger of what can be read from it.
    """

    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None
    unexplained: str | None = None


UNKNOWN = TokenUsage()
NOTHING = TokenUsage(0, None, 0)

"""Reads token counts from a provider's report, by the convention that its names and its total fit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .usage import INVALID, MAX_TOKENS, PARTIAL, SHAPE, TOTAL, UNKNOWN, ZERO, TokenUsage
from .usage_conventions import SHAPES, Path, Relation, Shape, Sum
from .usage_reports import Report, count_at


def read_usage(report: Report) -> TokenUsage:
    """Return the usage of a report; `UNKNOWN` if there is none."""
    counts = report.counts
    if not counts:
        return UNKNOWN
    shape = _shape_of(counts)
    if shape is None:
        return TokenUsage(unexplained=SHAPE)
    read = _Reader(counts)
    prompt, completion = read.count(shape.prompt), read.count(shape.completion)
    total = read.count(shape.total) if shape.total else None
    cached, reasoning = read.first(shape.cached), read.first(shape.reasoning)
    if (
        prompt
        and completion is not None
        and total == prompt + completion
        and shape.sums[0] is Sum.INSIDE
        and not shape.more_prompt
        and (cached or 0) <= prompt
        and (reasoning or 0) <= completion
        and "iterations" not in counts
    ):
        # The usual report, which the steps below would read to the same counts.
        return TokenUsage(prompt, cached, completion, reasoning, INVALID if read.invalid else None)
    written, more = read.first(shape.written), read.first(shape.more_prompt) or 0
    why = INVALID if read.invalid else None
    if prompt is None or completion is None:
        if not report.begun:
            why = why or PARTIAL
        if total is not None:
            # The total has whatever else there is.
            if completion is None and prompt is not None and total >= prompt:
                completion = total - prompt
            elif prompt is None and completion is not None and total >= completion:
                prompt = total - completion
            total = None
        if prompt is None or completion is None:
            beside = (cached or 0) + (written or 0) if shape.sums[0].value.cache_beside else 0
            prompt = None if prompt is None else _bounded(prompt + beside + more) or None
            return TokenUsage(prompt, cached, completion, reasoning, why)
    else:
        compacted = _compaction(counts, read)
        prompt, completion = prompt + compacted[0], completion + compacted[1]
        why = INVALID if read.invalid else None
    size = (prompt, completion, reasoning or 0, (cached or 0) + (written or 0))
    in_total = more if shape.more_in_total else 0
    relation = _relation(shape, size, None if total is None else total - in_total)
    if relation is None:
        why = why or TOTAL
        relation = Relation(reasoning_beside=size[2] > completion, cache_beside=size[3] > prompt)
        prompt, completion = _sides(relation, size)
        if total is not None and total - in_total > prompt + completion:
            if why is TOTAL and reasoning is None and _is_gemini(report):
                why = None
            completion = total - in_total - prompt
    else:
        prompt, completion = _sides(relation, size)
    if prompt + more == 0:
        # Every request has a prompt. If there is no completion either, nothing was counted.
        return TokenUsage(None, cached, _bounded(completion) or None, reasoning, why or ZERO)
    return TokenUsage(_bounded(prompt + more), cached, _bounded(completion), reasoning, why)


def _is_gemini(report: Report) -> bool:
    """Whether a Gemini answered, whose OpenAI-compatible API may count thoughts in nothing but the total.

    Source: ai.google.dev/gemini-api/docs/openai. From any other model, such a total stays unexplained.
    """
    return isinstance(report.model, str) and "gemini" in report.model.lower()


def _shape_of(counts: Mapping[str, Any]) -> Shape | None:
    half = None
    for shape in SHAPES:
        if shape.requires and all(counts.get(name) is None for name in shape.requires):
            continue
        known = (count_at(counts, shape.prompt) is not None) + (count_at(counts, shape.completion) is not None)
        if known == 2:
            return shape
        half = half or (shape if known else None)
    return half


def _relation(shape: Shape, size: Sequence[int], total: int | None) -> Relation | None:
    """Return the first relation of the shape that the counts allow and, if there is one, the total confirms."""
    prompt, completion, reasoning, cache = size
    for each in shape.sums:
        relation = each.value
        if (not relation.reasoning_beside and reasoning > completion) or (not relation.cache_beside and cache > prompt):
            continue
        if total is None or total == (sum(_sides(relation, size)) if relation.in_total else prompt + completion):
            return relation
    return None


def _sides(relation: Relation, size: Sequence[int]) -> tuple[int, int]:
    prompt, completion, reasoning, cache = size
    return (
        prompt + cache if relation.cache_beside else prompt,
        completion + reasoning if relation.reasoning_beside else completion,
    )


def _compaction(counts: Mapping[str, Any], read: _Reader) -> tuple[int, int]:
    """Return the tokens of Anthropic's compaction steps, which the counts of the answer do not contain.

    Source: docs.anthropic.com/en/docs/build-with-claude/compaction#understanding-usage.
    """
    steps = counts.get("iterations")
    found = [step for step in steps if isinstance(step, dict)] if isinstance(steps, list) else []
    found = [step for step in found if step.get("type") == "compaction"]
    names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    return (
        sum(read.value(step.get(name)) or 0 for step in found for name in names),
        sum(read.value(step.get("output_tokens")) or 0 for step in found),
    )


class _Reader:
    """Reads counts from a report, and remembers whether one of them is invalid."""

    __slots__ = ("_counts", "invalid")

    def __init__(self, counts: Mapping[str, Any]) -> None:
        self._counts = counts
        self.invalid = False

    def count(self, path: Path) -> int | None:
        return self.value(count_at(self._counts, path))

    def first(self, paths: Iterable[Path]) -> int | None:
        """Return the first count that is reported, and not 0 if another is not."""
        zero = None
        for path in paths:
            found = self.count(path)
            if found:
                return found
            zero = found if zero is None else zero
        return zero

    def value(self, value: Any) -> int | None:
        """Return a count; None if it is absent or invalid. A fraction is rounded up, and is invalid too."""
        if value is None:
            return None
        if type(value) is int and 0 <= value <= MAX_TOKENS:
            return value
        self.invalid = True
        if isinstance(value, float) and 0 <= value <= MAX_TOKENS:
            return math.ceil(value)
        if isinstance(value, str) and len(value) < 10 and value.isascii() and value.isdigit():
            return min(int(value), MAX_TOKENS)
        return None


def _bounded(count: int) -> int:
    return min(count, MAX_TOKENS)

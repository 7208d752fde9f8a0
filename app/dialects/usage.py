"""Token usage as reported by a provider: not estimated, and None instead of 0 if unknown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from .usage_conventions import SHAPES, Path, Relation, Shape

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


class Report(NamedTuple):
    """What a provider reports of an answer: the members of its usage object, and the name of its model.

    `begun`: the answer has only begun, so that no count of the completion is expected.
    """

    counts: Mapping[str, Any]
    model: Any = None
    begun: bool = False


NO_REPORT = Report({})
#: Members that count a prompt, in streams that report it in parts.
_PROMPT = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "prompt_tokens")


def report_in(answer: Mapping[str, Any], places: Iterable[Path]) -> Report:
    """Return the report in an answer or event; `NO_REPORT` if there is none, or if it is null or empty.

    A report that is no object becomes one with a member of no convention, so that it counts as unexplained.
    """
    for place in places:
        found: Any = answer
        for name in place:
            found = found.get(name) if isinstance(found, dict) else None
            if name == "choices":
                found = found[0] if isinstance(found, list) and found else None
        if found is None or found == {} or (place == ("timings",) and "predicted_n" not in found):
            continue
        return Report(found if isinstance(found, dict) else {SHAPE: found}, answer.get("model"))
    if "eval_count" in answer:
        # Ollama's own API has the counts beside the message.
        return Report(answer, answer.get("model"))
    return NO_REPORT


def merged(later: Report, earlier: Report) -> Report:
    """Return one report of two: the later one's members, and those of the earlier one that it does not have."""
    if not earlier.counts:
        return later
    if not later.counts:
        return earlier
    given = {name: value for name, value in later.counts.items() if value is not None}
    if not any(given.get(name) for name in _PROMPT):
        # Some gateways end a stream with zeros for a prompt that they have counted at its start.
        given = {name: value for name, value in given.items() if name not in _PROMPT}
    # The total belongs to the counts that were reported with it.
    older = {name: value for name, value in earlier.counts.items() if name not in ("total_tokens", "totalTokens")}
    model = later.model if later.model is not None else earlier.model
    return Report({**older, **given}, model, later.begun and earlier.begun)


def is_complete(report: Report) -> bool:
    """Whether the report has the tokens of a prompt and of a completion, whatever they are."""
    counts = report.counts
    for shape in SHAPES:
        if shape.completion[0] in counts and shape.prompt[0] in counts:
            return _at(counts, shape.prompt) is not None and _at(counts, shape.completion) is not None
    return False


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
    cached, written = read.first(shape.cached), read.first(shape.written)
    reasoning, more = read.first(shape.reasoning), read.first(shape.more_prompt) or 0
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
            if _is_gemini(report, shape) and why is TOTAL:
                why = None
            completion = total - in_total - prompt
    else:
        prompt, completion = _sides(relation, size)
    if prompt + more == 0:
        # Every request has a prompt. If there is no completion either, nothing was counted.
        return TokenUsage(None, cached, _bounded(completion) or None, reasoning, why or ZERO)
    return TokenUsage(_bounded(prompt + more), cached, _bounded(completion), reasoning, why)


def _is_gemini(report: Report, shape: Shape) -> bool:
    """Whether a total that is too large is Gemini's, whose OpenAI-compatible API has thoughts in nothing but the total.

    The members are no others than OpenAI's first three, and the answer's model is a Gemini. Source:
    ai.google.dev/gemini-api/docs/openai.
    """
    names = {name for name, value in report.counts.items() if value is not None}
    model = report.model
    return (
        names == {"prompt_tokens", "completion_tokens", "total_tokens"}
        and shape.prompt[0] in names
        and isinstance(model, str)
        and "gemini" in model.lower()
    )


def _shape_of(counts: Mapping[str, Any]) -> Shape | None:
    half = None
    for shape in SHAPES:
        if shape.marks and not any(counts.get(name) is not None for name in shape.marks):
            continue
        known = (_at(counts, shape.prompt) is not None) + (_at(counts, shape.completion) is not None)
        if known == 2:
            return shape
        half = half or (shape if known else None)
    return half


def _relation(shape: Shape, size: Sequence[int], total: int | None) -> Relation | None:
    """Return the first relation of the shape that the counts allow and, if there is one, the total confirms."""
    prompt, completion, reasoning, cache = size
    for each in shape.sums:
        relation = each.value
        if (not relation.reasoning_beside and reasoning > completion) or (
            not relation.cache_beside and cache > prompt
        ):
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
        return self.value(_at(self._counts, path))

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


def _at(counts: Mapping[str, Any], path: Path) -> Any:
    found: Any = counts
    for name in path:
        if not isinstance(found, dict):
            return None
        found = found.get(name)
    return found


def _bounded(count: int) -> int:
    return min(count, MAX_TOKENS)

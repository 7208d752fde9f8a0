"""The reports of usage in answers and events: where they are, and one report of the parts that a stream has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from .usage import SHAPE
from .usage_conventions import SHAPES, Path, Place


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


def report_in(answer: Mapping[str, Any], places: Iterable[Place]) -> Report:
    """Return the report in an answer or event; `NO_REPORT` if there is none, or if it is null or empty.

    A report that is no object becomes one with a member of no convention, so that it counts as unexplained.
    """
    for place in places:
        found: Any = answer
        for name in place.path:
            found = found.get(name) if isinstance(found, dict) else None
            if isinstance(found, list) and name != "usage":
                found = found[0] if found else None
        if found is None or found == {} or (place.requires and place.requires not in found):
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
            return count_at(counts, shape.prompt) is not None and count_at(counts, shape.completion) is not None
    return False


def count_at(counts: Mapping[str, Any], path: Path) -> Any:
    """Return the member at a path below the report; None if it is absent."""
    found: Any = counts.get(path[0])
    for name in path[1:]:
        if not isinstance(found, dict):
            return None
        found = found.get(name)
    return found

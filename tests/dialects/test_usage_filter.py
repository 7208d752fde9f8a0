"""Of a stream, only what the router's `include_usage` adds is taken out."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from app.dialects.stream_options import UsageFilter, asks_for_usage

USAGE = {"prompt_tokens": 3, "completion_tokens": 2}


def chunk(text: str | None = None, *, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """Return a chunk; without text and finish reason it has no choices."""
    choices = [] if text is None and finish is None else [{"delta": {"content": text}, "finish_reason": finish}]
    return {"id": "a", "object": "chat.completion.chunk", "choices": choices, **more}


def filtered(*chunks: dict[str, Any]) -> list[Any]:
    """Return what is left of each chunk; None: nothing."""
    events = UsageFilter()
    out = [events.feed(b"data: " + orjson.dumps(each) + b"\n\n") for each in chunks]
    return [orjson.loads(each.removeprefix(b"data: ")) if each else None for each in out]


def test_the_chunk_that_exists_because_of_the_router_is_dropped() -> None:
    stream = chunk("a", usage=None), chunk("b", usage=None), chunk(finish="stop", usage=None), chunk(usage=USAGE)
    assert filtered(*stream) == [chunk("a"), chunk("b"), chunk(finish="stop"), None]


@pytest.mark.parametrize(
    "envelope",
    [
        {"provider": "Novita"},
        {"x_request": {"region": "eu"}},
        {"cost": 0},
        {"sla": [1]},
        {"cached": False},
        {"prompt_filter_results": []},
        {"system_fingerprint": "fp_1"},
    ],
)
def test_what_earlier_chunks_had_too_is_envelope(envelope: dict[str, Any]) -> None:
    *_, last = filtered(chunk("a", **envelope), chunk(finish="stop", **envelope), chunk(usage=USAGE, **envelope))
    assert last is None


@pytest.mark.parametrize(
    "news",
    [
        {"timings": {"predicted_ms": 1.5}},
        {"cost": 0.00012},
        {"citations": ["https://example.org"]},
        {"warning": "The answer was shortened."},
    ],
)
@pytest.mark.parametrize("before", [{}, {"provider": "Novita"}])
def test_what_only_the_last_chunk_has_stays_without_the_usage(before: dict[str, Any], news: dict[str, Any]) -> None:
    *_, last = filtered(chunk("a", **before), chunk(finish="stop", **before), chunk(usage=USAGE, **before, **news))
    assert last == chunk(**before, **news)


def test_a_member_that_was_empty_before_is_news() -> None:
    *_, last = filtered(chunk("a", timings=None), chunk(usage=USAGE, timings={"predicted_ms": 1.5}))
    assert last == chunk(timings={"predicted_ms": 1.5})


def test_usage_that_comes_unasked_with_each_chunk_stays_to_the_last() -> None:
    stream = chunk("a", usage=USAGE), chunk("b", usage=USAGE), chunk(finish="stop", usage=USAGE), chunk(usage=USAGE)
    assert filtered(*stream) == list(stream)


def test_usage_beside_the_end_of_the_answer_stays_and_the_extra_chunk_goes() -> None:
    stream = chunk("a"), chunk(finish="stop", usage=USAGE), chunk(usage=USAGE)
    assert filtered(*stream) == [*stream[:2], None]


@pytest.mark.parametrize(
    ("body", "asks"),
    [
        ({}, False),
        ({"stream_options": None}, False),
        ({"stream_options": {"include_usage": False, "include_obfuscation": True}}, False),
        ({"usage": {"include": False}}, False),
        ({"stream_options": {"include_usage": True}}, True),
        ({"stream_options": {"continuous_usage_stats": True}}, True),
        ({"usage": {"include": True}}, True),
        ({"include_usage": True}, True),
        ({"return_usage": 1}, True),
    ],
)
def test_a_client_may_ask_in_its_own_way(body: dict[str, Any], asks: bool) -> None:
    assert asks_for_usage(body) is asks

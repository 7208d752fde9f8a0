"""Bytes that do not end an event are held, whatever the chunks; all others go on at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dialects.sse import LONGEST, EventSplitter, WholeEvents

pieces = st.lists(st.sampled_from([b"data: a", b"\n", b"\r\n", b"\r", b"\n\n", b": x", b"\r\n\r\n"]), max_size=12)


@given(chunks=st.lists(pieces.map(b"".join), max_size=8))
def test_every_byte_comes_out_in_order(chunks: list[bytes]) -> None:
    events = WholeEvents()
    assert b"".join([*map(events.feed, chunks), events.rest()]) == b"".join(chunks)


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
def test_only_whole_events_come_out(end: bytes) -> None:
    stream = end.join([b"data: one", b"data: two", b": a comment", b"data: {}"]) + end
    for size in range(1, len(stream)):
        events, splitter = WholeEvents(), EventSplitter()
        out = b"".join(events.feed(stream[at : at + size]) for at in range(0, len(stream), size))
        assert (out, events.rest()) == (stream, b""), size
        cut = WholeEvents()
        sent = b"".join(
            cut.feed(stream[at : min(at + size, len(stream) - 3)]) for at in range(0, len(stream) - 3, size)
        )
        assert sent == b"".join(splitter.feed(sent)), "it ends with an event"
        assert sent + cut.rest() == stream[:-3]


def test_an_event_without_end_goes_on_in_pieces() -> None:
    events = WholeEvents()
    sent = sum(len(events.feed(b"data: " + b"a" * 50_000)) for _ in range(60))
    assert sent > LONGEST
    assert events.split
    events.feed(b"\n\n")
    assert not events.split

"""Request bodies that cost a server much more than their bytes."""

from __future__ import annotations

from collections.abc import Callable

#: Bytes of a hostile body: just below the default of ROUTER_MAX_BODY_BYTES.
SIZE = 20 * 1024 * 1024 - 4096


def _filled(head: bytes, unit: bytes, tail: bytes, size: int, most: int | None = None) -> bytes:
    count = (size - len(head) - len(tail)) // len(unit)
    return head + unit * (count if most is None else min(count, most)) + tail


def _text(unit: bytes, size: int, before: bytes = b"") -> bytes:
    return _filled(b'{"model":"auto",' + before + b'"messages":[{"role":"user","content":"', unit, b'"}]}', size)


def _beside(unit: bytes, last: bytes, size: int, most: int | None = None, before: bytes = b"") -> bytes:
    head = b'{"model":"auto","messages":[{"role":"user","content":"Hello"}],' + before + b'"x":['
    return _filled(head, unit, last + b"]}", size, most)


def _keys(size: int, most: int | None = None) -> bytes:
    count = min(most or size, size // 16)
    return (
        b'{"model":"auto","messages":[{"role":"user","content":"Hello"}]'
        + b"".join(b',"k%08x":1' % number for number in range(count))
        + b"}"
    )


_LONG = b'"y":"' + b"z" * 300_000 + b'",'
_HELLO = b'{"messages":[{"role":"user","content":"a"}]'

#: What makes each body, of a size in bytes, by name.
BODIES: dict[str, Callable[[int], bytes]] = {
    "text": lambda size: _text(b"hello wor ", size),
    "text of four bytes a letter": lambda size: _text("😀".encode(), size),
    "escapes": lambda size: _text(b"\\u006d", size),
    "pairs of surrogates": lambda size: _text(b"\\ud83d\\ude00", size),
    "lone surrogates": lambda size: _text(b"\\ud83d", size),
    "line ends": lambda size: _text(b"a line of some forty characters of text\\n", size),
    "backslashes": lambda size: _text(b"\\\\", size),
    "an escape and many lists": lambda size: _beside(b"[],", b'"\\u006d"', size),
    "a lone surrogate and many lists": lambda size: _beside(b"[],", b'"\\ud83d"', size),
    "as many lists as may be": lambda size: _beside(b"[],", b'"y"', size, 97_000, _LONG),
    "as many objects as may be": lambda size: _beside(b'{"a":1},', b'"\\ud83d"', size, 49_000),
    "numbers": lambda size: _beside(b"123456,", b'"\\u006d"', size),
    "as many numbers as may be": lambda size: _beside(b"123456,", b'"\\u006d"', size, 390_000),
    "as many texts as may be": lambda size: _beside(b'"abcdefg",', b'"\\ud83d"', size, 390_000),
    "two models and many objects": lambda size: _beside(b'{"model":"b"},', b"1", size, None, b'"model":"auto",'),
    "two models and a long text": lambda size: _text(b"hello, {}", size, b'"model":"cheap",'),
    "tools with models": lambda size: _beside(b'{"model":"b"},', b"1", size, 40_000),
    "deep lists": lambda size: _beside(b"[", b"1" + b"]" * (size // 2 - 100), size, size // 2 - 100),
    "deep objects": lambda size: _beside(b'{"a":', b"1" + b"}" * (size // 6 - 100), size, size // 6 - 100),
    "nested 900 deep": lambda size: _beside(b"[" * 450 + b"]" * 450 + b",", b"1", size, 80),
    "a whole number": lambda size: _beside(b"1", b"", size),
    "a fraction": lambda size: _beside(b"1", b"", size, None, b'"y":0.' + b"1" * (size // 2) + b","),
    "an infinite number": lambda size: _beside(b"1,", b"1e400", size, 190_000),
    "many keys": _keys,
    "as many keys as may be": lambda size: _keys(size, 95_000),
    "one key many times": lambda size: _filled(_HELLO, b',"model":"auto"', b"}", size),
    "one key as often as may be": lambda size: _filled(
        _HELLO, b',"model":"auto"', b"}", size, 95_000
    ),
    "many messages": lambda size: _filled(
        b'{"model":"auto","messages":[{"role":"user","content":"a"}',
        b',{"role":"user","content":"hello"}',
        b"]}",
        size,
        30_000,
    ),
    "reminders never closed": lambda size: _text(b"<system-reminder>", size),
    "reminders": lambda size: _text(b"<system-reminder></system-reminder>", size),
    "short elements": lambda size: _text(b"<skill></skill>", size),
    "less than": lambda size: _text(b"<", size),
    "reminders in messages": lambda size: _filled(
        b'{"model":"auto","messages":[{"role":"user","content":"a"}',
        b',{"role":"user","content":"<system-reminder>hello</system-reminder>"}',
        b"]}",
        size,
        30_000,
    ),
    "not JSON": lambda size: b"[" * size,
    "not JSON: open quotes": lambda size: b'{"model":"auto",' + b'"' * (size - 16),
}  # fmt: skip

"""JSON text in any spelling that a parser accepts."""

from __future__ import annotations

import random
from typing import Any

import orjson


def spelled(value: Any, chance: random.Random) -> str:
    """Write `value` as JSON in a random spelling: blanks anywhere, keys twice, any character escaped."""

    def text(string: str) -> str:
        often = chance.choice([0, 0, 0.3])
        return '"' + "".join(escaped(c) if chance.random() < often else plain(c) for c in string) + '"'

    def plain(c: str) -> str:
        return "\\" + c if c in '"\\' else f"\\u{ord(c):04x}" if c < " " else c

    def escaped(c: str) -> str:
        return "".join(
            f"\\u{int.from_bytes(c.encode('utf-16-be')[i : i + 2]):04X}" for i in (0, 2)[: 1 + (c > "\uffff")]
        )

    def blank() -> str:
        return chance.choice(["", "", " ", "\n\t ", "\r\n"])

    if isinstance(value, str):
        return text(value)
    if isinstance(value, list):
        return "[" + ",".join(blank() + spelled(item, chance) + blank() for item in value) + "]"
    if isinstance(value, dict):
        pairs = [(key, item) for key, item in value.items() for _ in range(chance.choice([1, 1, 1, 1, 2]))]
        chance.shuffle(pairs)
        written = (blank() + text(key) + blank() + ":" + blank() + spelled(item, chance) for key, item in pairs)
        return "{" + (blank() + ",").join(written) + blank() + "}"
    return orjson.dumps(value).decode()

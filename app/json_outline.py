"""Outlines large JSON: its depth, its number of values and the members of its top object, in time linear in its bytes.

The time depends on the bytes alone, not on the number of tokens: numpy looks at a piece of `PIECE` bytes at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import orjson
from numpy.typing import NDArray

#: Bytes looked at at a time, about 2 ms: a thread gives way to the event loop in between.
PIECE = 256 * 1024
_QUOTE, _BACKSLASH, _BRACE = 0x22, 0x5C, 0x7B
_BLANK = b" \t\n\r"

_TOKENS = np.zeros(256, dtype=np.bool_)
_TOKENS[list(b'"{}[],:')] = True
_STEPS = np.zeros(256, dtype=np.int8)
_STEPS[list(b"{[")] = 1
_STEPS[list(b"}]")] = -1


@dataclass(frozen=True, slots=True)
class Outline:
    """What the brackets and quotes of a JSON text show."""

    #: Objects and lists.
    containers: int
    #: Members of objects, by their colons.
    members: int
    #: Commas: with the containers, an upper bound of the values.
    commas: int
    #: The deepest nesting.
    depth: int
    #: Positions of the tokens between the outermost brackets: quotes, colons, commas and those brackets.
    places: NDArray[np.int64]

    def members_of(self, raw: bytes, name: str) -> Iterator[tuple[int, int, int, int]]:
        """Yield, the last first, for each member `name` of the object `raw` four positions.

        They are those of the brace or comma before it, of its key, its value and the value's end.
        """
        places = self.places
        kinds = np.frombuffer(raw, dtype=np.uint8)[places]
        quotes = kinds == _QUOTE
        keys = np.flatnonzero(quotes[1:-1] & ((kinds[:-2] == 0x2C) | (kinds[:-2] == _BRACE))) + 1
        lengths = places[keys + 1] - places[keys] - 1
        plain = len(name.encode())
        # A key is as long as the name, or has escapes, of six bytes for each UTF-16 unit at most.
        keys = keys[(lengths == plain) | ((lengths > plain) & (lengths <= 12 * len(name)))]
        spelled = name.encode()
        for at in keys[::-1].tolist():
            start, end = int(places[at]), int(places[at + 1])
            token = raw[start + 1 : end]
            if token != spelled and not (b"\\" in token and _unescaped(raw[start : end + 1]) == name):
                continue
            value = int(places[at + 2]) + 1
            after = int(places[at + 5 if quotes[at + 3] else at + 3])
            inner = raw[value:after]
            first = value + len(inner) - len(inner.lstrip(_BLANK))
            yield int(places[at - 1]), start, first, value + len(inner.rstrip(_BLANK))


def outline(raw: bytes) -> Outline:
    """Outline the JSON text `raw`; of any other text the result means nothing."""
    found: list[NDArray[np.int64]] = []
    containers = members = commas = depth = deepest = 0
    inside = escaping = False
    for start in range(0, len(raw), PIECE):
        piece = np.frombuffer(raw, dtype=np.uint8, count=min(PIECE, len(raw) - start), offset=start)
        escaped, escaping = _escaped(piece, escaping)
        places = np.flatnonzero(_TOKENS[piece])
        kinds = piece[places]
        quotes = kinds == _QUOTE
        if escaped is not None:
            real = ~(quotes & escaped[places])
            places, kinds, quotes = places[real], kinds[real], quotes[real]
        if not places.size:
            continue
        within = (np.cumsum(quotes, dtype=np.int32) + inside) & 1 == 1
        inside = bool(within[-1])
        structural = ~(within | quotes)
        steps = _STEPS[kinds] * structural
        depths = np.cumsum(steps, dtype=np.int32) + depth
        depth = int(depths[-1])
        deepest = max(deepest, int(depths.max()))
        containers += int(np.count_nonzero(steps > 0))
        members += int(np.count_nonzero((kinds == 0x3A) & structural))
        commas += int(np.count_nonzero((kinds == 0x2C) & structural))
        # Those within the top object; its end is the one closing bracket that leads to depth 0.
        top = (depths == 1) & (quotes | (structural & (steps >= 0)))
        top |= (depths == 0) & (steps < 0)
        found.append(places[top] + start)
    return Outline(
        containers, members, commas, deepest, np.concatenate(found) if found else np.zeros(0, dtype=np.int64)
    )


def _escaped(piece: NDArray[np.uint8], escaping: bool) -> tuple[NDArray[np.bool_] | None, bool]:
    """Return which bytes follow an odd number of backslashes, None if none does, and whether the next byte does.

    `escaping`: whether the first byte does.
    """
    slashes = np.flatnonzero(piece == _BACKSLASH)
    if not slashes.size and not escaping:
        return None, False
    escaped = np.zeros(piece.size + 1, dtype=np.bool_)
    if not slashes.size or slashes[0] != 0:
        escaped[0] = escaping
    if not slashes.size:
        return escaped[:-1], False
    first = np.flatnonzero(np.diff(slashes, prepend=-2) != 1)
    lengths = np.diff(first, append=slashes.size)
    if slashes[0] == 0:
        lengths[0] += escaping
    ends = slashes[np.append(first[1:], slashes.size) - 1] + 1
    escaped[ends[lengths % 2 == 1]] = True
    return escaped[:-1], bool(escaped[-1])


def _unescaped(token: bytes) -> str | None:
    try:
        found: str = orjson.loads(token)
    except orjson.JSONDecodeError:
        # A lone surrogate, which no name of this program has.
        return None
    return found

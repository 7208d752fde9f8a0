"""Refuses requests whose model a provider could read differently, for keys that may use some models alone."""

from __future__ import annotations

import asyncio
import json
import unicodedata
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

from ..errors import Forbidden

#: Members by which some provider takes a model, besides `model` itself; compared without case, blanks, `-` and `_`.
_OTHERS = frozenset(
    ("model", "models", "modelname", "modelid", "fallback", "fallbacks", "fallbackmodels", "engine", "deployment",
     "deploymentid")
)  # fmt: skip
#: Bodies over so many bytes are scanned in a thread.
LARGE = 64 * 1024


async def require_one_model(raw: bytes, body: dict[str, Any], query: bytes) -> None:
    """Raise `Forbidden` if the JSON object `raw` (parsed: `body`) or the query may name another model than `model`."""
    names = [*body, *(name for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True))]
    for name in names[: len(body)]:
        if name != "model" and _folded(name) in _OTHERS:
            raise _refused(f"the member {name[:50]!r} may name one")
    for name in names[len(body) :]:
        if _folded(name) in _OTHERS:
            raise _refused(f"the query parameter {name[:50]!r} may name one")
    if await repeats(raw, ("model",)):
        raise _refused("the body has two members `model`")


def _refused(why: str) -> Forbidden:
    return Forbidden(
        f"This key is for some models alone, and a provider could read another model: {why}.", param="model"
    )


def _folded(name: str) -> str:
    text = unicodedata.normalize("NFKC", name).casefold()
    return "".join(letter for letter in text if letter.isalnum())


def _repeats(raw: bytes, names: tuple[str, ...] = ("model",), *, nested: bool = False) -> bool:
    """Return whether the outermost object of `raw`, or with `nested` any, has two members of one of these names."""
    repeated: list[bool] = []

    def pairs(members: Iterable[tuple[str, Any]]) -> None:
        found = [name for name, _ in members if name in names]
        repeated.append(len(found) > len(set(found)))

    try:
        json.loads(raw.decode("utf-8-sig", "surrogatepass"), object_pairs_hook=pairs)
    except (ValueError, RecursionError):
        # Too deep for this parser, or JSON that only the other one accepts: it cannot be shown to name one model.
        return True
    # The outermost object ends last.
    return any(repeated) if nested else repeated[-1:] == [True]


async def repeats(raw: bytes, names: tuple[str, ...], *, nested: bool = False) -> bool:
    """Return whether a JSON object may have two members of one of these names, for which readers differ."""
    # Escapes aside, a key that is there twice is there twice in the bytes.
    if b"\\u00" not in raw and all(raw.count(b'"%s"' % name.encode()) <= 1 for name in names):
        return False
    if len(raw) <= LARGE:
        return _repeats(raw, names, nested=nested)
    return await asyncio.to_thread(_repeats, raw, names, nested=nested)

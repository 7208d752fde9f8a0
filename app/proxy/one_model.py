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
    # Escapes aside, a key that is there twice is there twice in the bytes.
    if raw.count(b'"model"') == 1 and b"\\u00" not in raw:
        return
    twice = _repeats(raw) if len(raw) <= LARGE else await asyncio.to_thread(_repeats, raw)
    if twice:
        raise _refused("the body has two members `model`")


def _refused(why: str) -> Forbidden:
    return Forbidden(
        f"This key is for some models alone, and a provider could read another model: {why}.", param="model"
    )


def _folded(name: str) -> str:
    text = unicodedata.normalize("NFKC", name).casefold()
    return "".join(letter for letter in text if letter.isalnum())


def _repeats(raw: bytes) -> bool:
    """Return whether the outermost object of `raw` has more than one member `model`."""
    last: list[bool] = [False]

    def pairs(members: Iterable[tuple[str, Any]]) -> None:
        # The outermost object ends last.
        last[0] = sum(name == "model" for name, _ in members) > 1

    try:
        json.loads(raw.decode("utf-8-sig", "surrogatepass"), object_pairs_hook=pairs)
    except (ValueError, RecursionError):
        # Too deep for this parser, or JSON that only the other one accepts: it cannot be shown to name one model.
        return True
    return last[0]

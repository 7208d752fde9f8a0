"""The two models that `auto` starts with if none are named: a current cheap one and a current strong one."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from .list_prices import Price

#: The strong model costs at least so many times as much as the cheap one; between closer prices little can be saved.
FACTOR = 4
#: A dated snapshot of a model, or an alias or a variant for a special purpose, by the end or a part of its name.
_SPECIAL = re.compile(
    r"-\d{4}(-\d\d-\d\d)?$|-latest$|preview|vision|instruct|search|research|audio|realtime|image|codex|cyber|-pro\b"
)
_VERSION = re.compile(r"(\d+)(?:[.-](\d{1,2})(?!\w))?")


def default_candidates(known: Mapping[str, Price], listed: Collection[str] | None = None) -> tuple[str, ...]:
    """Choose the cheap and the strong model of a provider, cheap first.

    `known`: its chat models with prices for input and output, from genai-prices, where deprecated ones are left out
    already. `listed`: the names that its `GET /models` lists; None: no list, all of `known` count.

    1. A model counts if it is in both lists, its context window is known, its name has a version number and is not that
       of a dated snapshot, of a `-latest` alias or of a special variant (preview, vision, audio, realtime, image,
       search, research, instruct, codex, cyber, pro).
    2. The version is the first number of the name, with a second one after a dot or a hyphen: 4.0 of `gpt-4o`, 4.1 of
       `gpt-4.1-mini`. Newer versions are taken to be better than older ones, dearer models better than cheaper ones of
       the same version.
    3. Strong: the dearest of the newest version. What a model costs is the sum of its input and output price.
    4. Cheap: the cheapest of the newest version that has a model at a `FACTOR`th of the strong one's cost or less.

    If there is no such cheap model, the strong one alone is returned; if no model counts, nothing.
    """
    current = {
        name: price
        for name, price in known.items()
        if (listed is None or name in listed)
        and price.context_window is not None
        and _VERSION.search(name)
        and not _SPECIAL.search(name)
    }
    if not current:
        return ()
    strong = max(current, key=lambda name: (_version(name), _cost(current[name]), name))
    cheap = [name for name in current if _cost(current[name]) * FACTOR <= _cost(current[strong])]
    if not cheap:
        return (strong,)
    newest = max(map(_version, cheap))
    return min(
        (name for name in cheap if _version(name) == newest), key=lambda name: (_cost(current[name]), name)
    ), strong


def _version(name: str) -> tuple[int, int]:
    found = _VERSION.search(name)
    assert found is not None
    return int(found[1]), int(found[2] or 0)


def _cost(price: Price) -> float:
    return price.input + price.output

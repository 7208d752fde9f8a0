"""What the router adds to a request: sends it, and sends it again without what the provider refuses."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import orjson

from ..caching import LRU
from ..entities import Model
from .client import Reply
from .rejection import refuses_for_good

#: Seconds for which a refused setting is not sent again with requests of the same kind.
REMEMBERED = 600.0
#: Refused settings that are remembered.
KEPT = 10_000
#: Steps of dotted names that errors also have by chance.
_COMMON = frozenset(("type",))
_OF_USAGE = ("stream_options", "include_usage")

log = logging.getLogger("pgrouter.upstream")


@dataclass(frozen=True, slots=True)
class Additions:
    """What the router adds to a client's request."""

    #: Settings of the model, by dotted name in the request's API.
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    #: Whether the usage of a stream is requested.
    usage: bool = False

    def without(self, names: Iterable[str]) -> Additions:
        """Return these additions without some settings."""
        gone = frozenset(names)
        return replace(self, settings={name: value for name, value in self.settings.items() if name not in gone})


NOTHING = Additions()


class Refusals:
    """What providers have refused of what the router adds, in one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        #: Providers, by name, that have refused `stream_options`: they are not sent it again.
        self.without_stream_options: set[str] = set()
        self._settings = LRU[Hashable, float](KEPT)
        self._logged: set[tuple[str, str]] = set()

    async def send(
        self, model: Model, kind: Hashable, wanted: Additions, send: Callable[[Additions], Awaitable[Reply]]
    ) -> Reply:
        """Send a request with what is `wanted`, and again without what a refusal names; return the last answer.

        `kind`: what requests have in common that are refused alike, such as their tenant, API and members. A setting is
        not sent again with requests of that kind for `REMEMBERED` seconds, if the provider does not know it and answers
        the request without it. An error may also quote it from the client's own text: only the request without it shows
        which it is.
        """
        gone = [name for name in wanted.settings if self._is_refused(model, kind, name, wanted.settings[name])]
        left = wanted.without(gone) if gone else wanted
        if left.usage and model.provider.name in self.without_stream_options:
            left = replace(left, usage=False)
        known = left
        lasting: set[str] = set()
        while True:
            reply = await send(left)
            reply.usage_added = left.usage
            error = await reply.rejection() if left.settings or left.usage else None
            if error is None:
                break
            refused = _units(left.settings, [name for name in left.settings if _names(error, name)])
            usage = left.usage and any(name.encode() in error for name in _OF_USAGE)
            if not refused and not usage:
                return reply
            reply.close()
            lasting.update(refused if refuses_for_good(error) else ())
            left = replace(left.without(refused), usage=left.usage and not usage)
        if reply.status < 400:
            if known.usage and not left.usage:
                self.without_stream_options.add(model.provider.name)
            for name in lasting:
                self._remember(model, kind, name, known.settings[name])
        return reply

    def _is_refused(self, model: Model, kind: Hashable, name: str, value: Any) -> bool:
        return self._settings.get(_key(model, kind, name, value), 0.0) > self._clock()

    def _remember(self, model: Model, kind: Hashable, name: str, value: Any) -> None:
        self._settings.put(_key(model, kind, name, value), self._clock() + REMEMBERED)
        if (model.name, name) not in self._logged:
            self._logged.add((model.name, name))
            log.warning(
                "the provider %s refuses the setting %s of model %s: requests are served without it",
                model.provider.name, name, model.name,
            )  # fmt: skip


def _key(model: Model, kind: Hashable, name: str, value: Any) -> Hashable:
    return model.provider.name, model.name, model.upstream_name, kind, name, orjson.dumps(value)


def _names(error: bytes, name: str) -> bool:
    """Return whether an error names a setting: as a whole, or one of its steps as a word."""
    words = {name, *name.split(".")} - _COMMON
    return any(re.search(rb"(?<![\w-])%b(?![\w-])" % re.escape(word.encode()), error) for word in words)


def _units(settings: Mapping[str, Any], refused: list[str]) -> list[str]:
    """Return the refused settings, and all of `thinking` with any of it: a part of it is no valid request."""
    if any(name.startswith("thinking.") for name in refused):
        return [name for name in settings if name in refused or name.startswith("thinking.")]
    return refused

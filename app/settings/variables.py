"""Environment variables: their names, kinds, ranges and help."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ConfigurationError

_HEADER_NAME = re.compile(r"[a-z0-9!#$%&'+.^_`|~-]+\*?|\*")
_MARKER = re.compile(r"[+-]?[A-Za-z][A-Za-z0-9_.-]{0,63}|-\*")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s*,]+")


@dataclass(frozen=True, slots=True)
class Kind:
    """The parser of a variable's text.

    `read` takes the variable's name and its text, which is not blank, and raises `ConfigurationError` naming the
    variable; `range` describes the accepted values in words.
    """

    read: Callable[[str, str], Any]
    range: str = ""


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable that pgrouter reads."""

    name: str
    #: Description, as a noun phrase without a full stop.
    help: str
    kind: Kind
    #: The default as documents show it; None: that of the field.
    default: str | None = None


def text() -> Kind:
    """Any text."""
    return Kind(lambda _, given: given)


def folder() -> Kind:
    """A path; `~` is the home of the user."""
    return Kind(lambda _, given: Path(given))


def secret(shortest: int) -> Kind:
    """A text of at least `shortest` characters, which no message quotes."""

    def read(name: str, given: str) -> str:
        if len(given) < shortest:
            raise ConfigurationError(f"{name} has {len(given)} characters: set it to at least {shortest}.")
        return given

    return Kind(read, f"{shortest} characters or more")


def choice(*names: str) -> Kind:
    """One of `names`, in any case of letters."""

    def read(name: str, given: str) -> str:
        if given.lower() not in names:
            raise ConfigurationError(f"{name}={given!r} is unknown: choose one of {', '.join(names)}.")
        return given.lower()

    return Kind(read, ", ".join(names))


def header_names() -> Kind:
    """Names of HTTP headers in lower case, separated by commas; `*` at the end of a name makes it a prefix."""

    def read(name: str, given: str) -> tuple[str, ...]:
        found = _listed(given.lower())
        for each in found:
            if not _HEADER_NAME.fullmatch(each):
                raise ConfigurationError(f"{name}: {each!r} is no name of a header: write names like x-team or x-my-*.")
        return found

    return Kind(read, "names of headers")


def origins() -> Kind:
    """Origins of web pages (`https://app.example.com`), separated by commas; or `*`."""

    def read(name: str, given: str) -> tuple[str, ...]:
        found = tuple(each.rstrip("/") for each in _listed(given.lower()))
        for each in found:
            if each not in ("*", "null") and not _ORIGIN.fullmatch(each):
                raise ConfigurationError(
                    f"{name}: {each!r} is no origin: write a scheme and a host like https://app.example.com, or *."
                )
        return found

    return Kind(read, "origins or `*`")


def element_names() -> Kind:
    """Names of elements, separated by commas, with `+` or `-` in front of some; or `-*`."""

    def read(name: str, given: str) -> tuple[str, ...]:
        found = _listed(given)
        for each in found:
            if not _MARKER.fullmatch(each):
                raise ConfigurationError(f"{name}: {each!r} is no name of an element: write name, +name, -name or -*.")
        return found

    return Kind(read, "names of elements")


def _listed(given: str) -> tuple[str, ...]:
    return tuple(filter(None, (each.strip() for each in given.split(","))))


def switch() -> Kind:
    """`1`, `true` or `on`, or their opposites."""
    read = choice("1", "0", "true", "false", "on", "off").read
    return Kind(lambda name, given: read(name, given) in ("1", "true", "on"), "0 or 1")


def whole(low: int, high: int) -> Kind:
    """A whole number from `low` to `high`."""

    def read(name: str, given: str) -> int:
        try:
            value = int(given)
        except ValueError:
            raise ConfigurationError(f"{name}={given!r} is not a whole number: set it to {low} to {high}.") from None
        if not low <= value <= high:
            raise ConfigurationError(f"{name}={value} is outside {low} to {high}.")
        return value

    return Kind(read, f"{low} to {high}")


def seconds(low: float = 0.001) -> Kind:
    """A number of seconds from `low` to less than a day."""

    def read(name: str, given: str) -> float:
        try:
            value = float(given)
        except ValueError:
            raise ConfigurationError(f"{name}={given!r} is not a number: set it to a number of seconds.") from None
        if not low <= value < 86_400:
            raise ConfigurationError(f"{name}={given} is outside {low:g} to 86400 seconds.")
        return value

    return Kind(read, f"{low:g} to 86400")

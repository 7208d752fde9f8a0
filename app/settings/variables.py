"""Environment variables: their names, kinds, ranges and help."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ConfigurationError


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

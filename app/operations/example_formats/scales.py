"""Converts scores of other scales to 0 to 1; a scale is named by the operator, never guessed."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...errors import BadRequest

_RANGE = re.compile(r"(-?\d+(?:\.\d+)?)(?:\.\.|-|:| to )(-?\d+(?:\.\d+)?)")
_BOOLEAN = {
    **dict.fromkeys(("true", "yes", "y", "t", "1", "1.0", "pass", "passed", "correct", "c", "success"), 1.0),
    **dict.fromkeys(("false", "no", "n", "f", "0", "0.0", "fail", "failed", "incorrect", "i", "failure"), 0.0),
}
_THUMBS = {
    **dict.fromkeys(("up", "thumbs up", "thumb up", "👍", "like", "liked", "good", "positive", "upvote", "+1"), 1.0),
    **dict.fromkeys(("down", "thumbs down", "thumb down", "👎", "dislike", "disliked", "bad", "negative"), 0.0),
    **dict.fromkeys(("downvote", "-1", "-1.0"), 0.0),
    **_BOOLEAN,
}
SCALES = "1..5, 0..10, percent, boolean or thumbs"


@dataclass(frozen=True, slots=True)
class Scale:
    """A scale: a range whose ends are 0 and 1, or words."""

    name: str
    low: float = 0.0
    high: float = 1.0
    words: Mapping[str, float] = field(default_factory=dict)

    def score(self, value: Any) -> float:
        """Return `value` from 0 to 1. Raises `ValueError` with the reason if it is not on the scale."""
        if self.words:
            return self._of_word(value)
        if isinstance(value, bool):
            raise ValueError(f"{value!r} is not a number on the scale {self.name}")
        number = number_of(value.removesuffix("%").rstrip() if isinstance(value, str) else value)
        if not min(self.low, self.high) <= number <= max(self.low, self.high):
            raise ValueError(f"{value} is not on the scale {self.name}")
        return (number - self.low) / (self.high - self.low)

    def _of_word(self, value: Any) -> float:
        word = re.sub(r"[_\-\s]+(?=\D)", " ", str(value).strip().lower()) if not _is_sign(value) else str(value).strip()
        if word not in self.words:
            raise ValueError(f"{value!r} is not on the scale {self.name}")
        return self.words[word]


def scale_of(text: str) -> Scale:
    """Return the scale that an operator named. Raises `BadRequest`."""
    name = text.strip().lower()
    if name in ("percent", "%"):
        return Scale("percent", 0.0, 100.0)
    if name in ("boolean", "bool"):
        return Scale("boolean", words=_BOOLEAN)
    if name in ("thumbs", "thumb"):
        return Scale("thumbs", words=_THUMBS)
    found = _RANGE.fullmatch(name)
    if found and float(found[1]) != float(found[2]):
        return Scale(f"{found[1]}..{found[2]}", float(found[1]), float(found[2]))
    raise BadRequest(f"--scale: {text!r} is not a scale; scales are {SCALES}.", param="scale")


def number_of(value: Any, *, decimal_comma: bool = False) -> float:
    """Return a number, or a text that is one, in ASCII. Raises `ValueError`."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{value!r} is not a number")
    try:
        if not isinstance(value, str):
            return float(value)
        text = value.strip()
        if decimal_comma and "," in text and re.fullmatch(r"[+-]?\d*,\d+", text):
            text = text.replace(",", ".")
        if "_" in text or not text.isascii():
            raise ValueError
        return float(text)
    except (ValueError, OverflowError):
        raise ValueError(f"{str(value).strip()!r} is not a number") from None


def plain_score(value: Any, *, decimal_comma: bool = False, booleans: bool = False) -> float:
    """Return a score that needs no scale: from 0 to 1, or a boolean if the format has them. Raises `ValueError`."""
    if booleans:
        word = str(value).strip().lower()
        if isinstance(value, bool) or word in ("true", "false"):
            return float(word == "true")
    number = number_of(value, decimal_comma=decimal_comma)
    if math.isfinite(number) and not 0 <= number <= 1:
        raise ValueError(f"{value} is not from 0 to 1; if the scores have another scale, name it: --scale {SCALES}")
    return number


def _is_sign(value: Any) -> bool:
    return str(value).strip()[:1] in ("+", "-")

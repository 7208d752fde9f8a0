"""Puts the labels of a prompt together that are spread over a file's records."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, NamedTuple

from ...errors import BadRequest


class _Sums:
    """Sums of the labels of a prompt by model."""

    __slots__ = ("scores", "task", "tokens")

    def __init__(self) -> None:
        self.scores: dict[str, tuple[float, int]] = {}
        self.tokens: dict[str, tuple[float, int]] = {}
        self.task: str | None = None

    def example(self) -> dict[str, Any]:
        """Return the labels of an example: means by model."""
        found: dict[str, Any] = {"scores": {name: total / count for name, (total, count) in self.scores.items()}}
        if self.tokens:
            found["completion_tokens"] = {name: round(total / count) for name, (total, count) in self.tokens.items()}
        if self.task is not None:
            found["task"] = self.task
        return found


class Merged(NamedTuple):
    """A file's labels by a digest of their prompt: a few hundred bytes for each prompt, whose text is not held."""

    by_prompt: dict[bytes, dict[str, Any]]

    def examples(self, found: Iterator[tuple[int, dict[str, Any] | BadRequest]]) -> Iterator[tuple[int, Any]]:
        """Yield an example for each prompt, where it is first, and the errors."""
        seen: set[bytes] = set()
        for line, value in found:
            if isinstance(value, BadRequest):
                yield line, value
                continue
            key = digest(value)
            if key not in seen:
                seen.add(key)
                text = {name: value[name] for name in ("prompt", "messages", "source") if name in value}
                yield line, {**text, **self.by_prompt[key]}


def merge(found: Iterator[tuple[int, dict[str, Any] | BadRequest]]) -> Merged:
    """Read all records. Raises `BadRequest` if they have scores of several names, of which one must be chosen."""
    sums: dict[bytes, _Sums] = {}
    names: set[str] = set()
    for _, value in found:
        if isinstance(value, BadRequest):
            continue
        if "score_name" in value:
            names.add(value["score_name"])
        entry = sums.setdefault(digest(value), _Sums())
        for field, totals in (("scores", entry.scores), ("completion_tokens", entry.tokens)):
            for model, number in value.get(field, {}).items():
                total, count = totals.get(model, (0.0, 0))
                totals[model] = (total + number, count + 1)
        if entry.task is None:
            entry.task = value.get("task")
    if len(names) > 1:
        raise BadRequest(
            f"the file has scores of several names ({', '.join(sorted(names))}): choose one with --score NAME.",
            param="score",
        )
    return Merged({key: entry.example() for key, entry in sums.items()})


def digest(example: dict[str, Any]) -> bytes:
    """Return a digest of the example's prompt."""
    prompt = example.get("prompt")
    if isinstance(prompt, str):
        text = prompt.strip().encode("utf-8", "surrogatepass")
    else:
        text = b"\0" + repr(example.get("messages")).encode("utf-8", "surrogatepass")
    return blake2b(text, digest_size=16).digest()

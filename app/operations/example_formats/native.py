"""The formats of this program: examples as the HTTP interface takes them, and tables with a column for each score."""

from __future__ import annotations

from typing import Any

from ...errors import BadRequest
from .base import Format, Options, Reader
from .cells import loads
from .records import Sample
from .scales import number_of

_SCORE, _TOKENS = "q:", "t:"


def _is_examples(sample: Sample) -> bool:
    return not sample.table and "scores" in sample.fields and not isinstance(sample.first["scores"], list)


def _is_table(sample: Sample) -> bool:
    return bool(sample.fields & {"prompt", "messages"}) and any(name.startswith(_SCORE) for name in sample.fields)


def _examples(sample: Sample, options: Options) -> Reader:
    if options.scale is None:
        return lambda row: row

    def convert(row: dict[str, Any]) -> dict[str, Any]:
        scores = row.get("scores")
        if not isinstance(scores, dict):
            return row
        return {
            **row,
            "scores": {name: options.label(value, f"scores.{name}", sample) for name, value in scores.items()},
        }

    return convert


def _table(sample: Sample, options: Options) -> Reader:
    scored = _models(sample, _SCORE)
    counted = _models(sample, _TOKENS)
    others = [name for name in ("prompt", "messages", "task", "source") if name in sample.fields]
    comma, scale = sample.decimal_comma, options.scale

    def score(text: str, model: str) -> float | None:
        if scale is not None:
            return options.label(text, f"{_SCORE}{model}", sample)
        try:
            return number_of(text, decimal_comma=comma)
        except ValueError as error:
            raise BadRequest(f"{_SCORE}{model}: {error}.", param=f"{_SCORE}{model}") from None

    def convert(row: dict[str, Any]) -> dict[str, Any]:
        scores = {model: score(text, model) for column, model in scored.items() if (text := row[column]).strip()}
        if not scores:
            raise BadRequest("the row has no score in any column q:MODEL.", param="scores")
        found: dict[str, Any] = {name: row[name] for name in others if name == "prompt" or row[name].strip()}
        found["scores"] = scores
        if "messages" in found:
            found["messages"] = _json(found["messages"])
            if not found.get("prompt", "x").strip():
                del found["prompt"]
        if "source" in found:
            found["source"] = found["source"].strip()
        tokens = {model: _tokens(row[column], model) for column, model in counted.items() if row[column].strip()}
        if tokens:
            found["completion_tokens"] = tokens
        return found

    return convert


def _models(sample: Sample, prefix: str) -> dict[str, str]:
    found = {name: name.removeprefix(prefix).strip() for name in sample.columns if name.startswith(prefix)}
    nameless = [name for name, model in found.items() if not model]
    if nameless:
        raise BadRequest(f"the column {nameless[0]!r} names no model.")
    return found


def _tokens(text: str, model: str) -> float:
    try:
        found = number_of(text)
    except ValueError as error:
        raise BadRequest(f"{_TOKENS}{model}: {error}.", param=f"{_TOKENS}{model}") from None
    return int(found) if found.is_integer() else found


def _json(text: str) -> Any:
    try:
        return loads(text)
    except ValueError as error:
        raise BadRequest(f"messages: the cell is not JSON: {error}.", param="messages") from None


def columns_read(name: str) -> bool:
    """Whether a column of this name is read."""
    return name in ("prompt", "messages", "task", "source", "") or name.startswith((_SCORE, _TOKENS))


EXAMPLES = Format(
    "jsonl",
    'JSON with `prompt` or `messages`, and `scores` such as {"gpt-4o": 1}',
    "scores from 0 to 1 as they are",
    _is_examples,
    _examples,
    merged=False,
)
TABLE = Format(
    "csv",
    "a table with the columns prompt (or messages) and q:MODEL, and task, source and t:MODEL (tokens) if known",
    "scores from 0 to 1 as they are; an empty cell is no label",
    _is_table,
    _table,
    merged=False,
)

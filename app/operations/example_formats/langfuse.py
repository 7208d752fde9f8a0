"""Scores of Langfuse: rows of scores, or traces and observations that hold their scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...errors import BadRequest
from .base import Format, Options, Reader, Result, named
from .records import Sample
from .traces import model_in, parsed, prompt_in

_TRACE = ("traceId", "trace_id")
_OBSERVATION = ("observationId", "observation_id")
_NO_TRACE = (
    "the scores name traces, whose prompts and models are in another export of Langfuse: give the observations "
    "(or traces) with --traces FILE."
)


def _is_scores(sample: Sample) -> bool:
    fields = sample.fields
    return bool(fields & set(_TRACE)) and {"name", "value"} <= fields


def _is_scored(sample: Sample) -> bool:
    if sample.table:
        inputs = bool(sample.fields & {"input", "traceInput"})
        return inputs and "scores" in sample.fields and bool(sample.fields & {"model", "providedModelName", "metadata"})
    return isinstance(sample.first.get("scores"), list)


def _reader(sample: Sample, options: Options) -> Reader:
    if _is_scored(sample):
        return lambda row: _merged(row, sample, options)

    def convert(row: dict[str, Any]) -> Result:
        keys = [named(row.get(name)) for name in (*_OBSERVATION, *_TRACE)]
        known = [options.traces[key] for key in keys if key in options.traces]
        prompt = prompt_in(row) or next((trace["prompt"] for trace in known if "prompt" in trace), None)
        model = model_in(row) or next((trace["model"] for trace in known if "model" in trace), "")
        if not options.traces and (prompt is None or not model):
            raise BadRequest(_NO_TRACE, param="traces")
        if prompt is None or not model:
            return "the trace has no prompt" if prompt is None else "the trace has no model"
        if not _is_chosen(row, options):
            return "the score has another name"
        score = _value(row, sample, options)
        if score is None:
            return "there is no score"
        return {**prompt, "scores": {options.model(model): score}, "score_name": named(row.get("name"))}

    return convert


def _merged(row: dict[str, Any], sample: Sample, options: Options) -> Result:
    """Convert a trace or an observation with its scores."""
    prompt, model = prompt_in(row), model_in(row)
    if prompt is None or not model:
        return "the trace has no prompt" if prompt is None else "the trace has no model"
    scores = [each for each in _scores(parsed(row.get("scores"))) if _is_chosen(each, options)]
    if len({named(each.get("name")) for each in scores}) > 1:
        names = ", ".join(sorted({named(each.get("name")) for each in scores}))
        raise BadRequest(f"scores: there are several ({names}): choose one with --score NAME.", param="scores")
    values = [value for each in scores if (value := _value(each, sample, options)) is not None]
    if not values:
        return "there is no score"
    mean = sum(values) / len(values)
    return {**prompt, "scores": {options.model(model): mean}, "score_name": named(scores[0].get("name"))}


def _scores(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield scores: of a list, or of an object of values by name."""
    if isinstance(value, list):
        yield from (each for each in value if isinstance(each, dict))
    elif isinstance(value, dict):
        for name, each in value.items():
            for one in each if isinstance(each, list) else [each]:
                yield {"name": name, "value": one}


def _is_chosen(score: Mapping[str, Any], options: Options) -> bool:
    return options.score is None or named(score.get("name")) == options.score


def _value(score: Mapping[str, Any], sample: Sample, options: Options) -> float | None:
    """Return the value: of a category its text, of a boolean 1 or 0."""
    kind = named(score.get("dataType") or score.get("data_type")).upper()
    text = score.get("stringValue", score.get("string_value"))
    value = text if kind == "CATEGORICAL" and text not in (None, "") else score.get("value")
    if kind == "BOOLEAN" and options.scale is None and value in (None, ""):
        value = text
    return options.label(value, f"value of the score {named(score.get('name'))}", sample, booleans=kind == "BOOLEAN")


LANGFUSE = Format(
    "langfuse",
    "scores with traceId, name and value, beside --traces FILE; or observations with input, model and scores",
    "value from 0 to 1, BOOLEAN 1 or 0, other values by --scale; one score name (--score NAME)",
    lambda sample: _is_scores(sample) or (_is_scored(sample) and "inputs" not in sample.fields),
    _reader,
)

"""Feedback of LangSmith: rows of feedback, or runs that hold their feedback."""

from __future__ import annotations

from typing import Any

from ...errors import BadRequest
from .base import Format, Options, Reader, Result, named
from .records import Sample
from .traces import model_in, parsed, prompt_in

_PREFIXES = ("feedback.", "feedback_stats.", "feedback_")
_NO_RUN = (
    "the feedback names runs, whose prompts and models are in another export of LangSmith: give the runs with "
    "--traces FILE."
)
_OTHERS = {"feedback_stats", "feedback_source", "feedback_config", "feedback_group_id"}


def _is_feedback(sample: Sample) -> bool:
    return "run_id" in sample.fields and "key" in sample.fields and bool(sample.fields & {"score", "value"})


def _is_run(sample: Sample) -> bool:
    inputs = "inputs" in sample.fields or any(name.startswith("inputs.") for name in sample.fields)
    return inputs and bool(sample.fields & {"feedback_stats", "feedback"} or _columns(sample))


def _columns(sample: Sample) -> dict[str, str]:
    """Return the columns of feedback, with its keys."""
    return {
        name: name.removeprefix(prefix)
        for name in sorted(sample.fields - _OTHERS)
        for prefix in _PREFIXES
        if name.startswith(prefix)
    }


def _reader(sample: Sample, options: Options) -> Reader:
    if not _is_feedback(sample):
        columns = _columns(sample)
        return lambda row: _of_run(row, columns, sample, options)

    def convert(row: dict[str, Any]) -> Result:
        keys = [named(row.get(name)) for name in ("run_id", "trace_id")]
        known = [options.traces[key] for key in keys if key in options.traces]
        prompt = prompt_in(row) or next((run["prompt"] for run in known if "prompt" in run), None)
        model = model_in(row) or next((run["model"] for run in known if "model" in run), "")
        if not options.traces and (prompt is None or not model):
            raise BadRequest(_NO_RUN, param="traces")
        if prompt is None or not model:
            return "the run has no prompt" if prompt is None else "the run has no model"
        key = named(row.get("key"))
        if options.score not in (None, key):
            return "the feedback has another key"
        value = row.get("score") if row.get("score") not in (None, "") else row.get("value")
        score = options.label(value, f"score of {key}", sample, booleans=True)
        if score is None:
            return "there is no score"
        return {**prompt, "scores": {options.model(model): score}, "score_name": key}

    return convert


def _of_run(row: dict[str, Any], columns: dict[str, str], sample: Sample, options: Options) -> Result:
    prompt, model = prompt_in(row), model_in(row)
    if prompt is None or not model:
        return "the run has no prompt" if prompt is None else "the run has no model"
    values = {key: row.get(column) for column, key in columns.items() if row.get(column) not in (None, "")}
    values.update(_held(row))
    chosen = {key: value for key, value in values.items() if options.score in (None, key)}
    if len(chosen) > 1:
        raise BadRequest(
            f"feedback: there are several keys ({', '.join(sorted(chosen))}): choose one with --score NAME."
        )
    for key, value in chosen.items():
        score = options.label(value, f"feedback of {key}", sample, booleans=True)
        if score is not None:
            return {**prompt, "scores": {options.model(model): score}, "score_name": key}
    return "there is no feedback"


def _held(row: dict[str, Any]) -> dict[str, Any]:
    """Return the feedback that a run holds by key: means of `feedback_stats`, or a list of feedback."""
    stats, listed = parsed(row.get("feedback_stats")), parsed(row.get("feedback"))
    found = {}
    for holder in (stats, listed):
        if isinstance(holder, dict):
            found.update({key: value.get("avg") if isinstance(value, dict) else value for key, value in holder.items()})
        elif isinstance(holder, list):
            found.update({named(each.get("key")): each.get("score") for each in holder if isinstance(each, dict)})
    return {key: value for key, value in found.items() if value not in (None, "")}


LANGSMITH = Format(
    "langsmith",
    "feedback with run_id, key and score, beside its runs (--traces FILE); or runs with inputs, model and feedback",
    "score from 0 to 1, true 1 and false 0, other scores by --scale; one feedback key (--score NAME)",
    lambda sample: _is_feedback(sample) or _is_run(sample),
    _reader,
)

"""Wide tables of benchmarks: RouterBench and RouteLLM, with a column for each model."""

from __future__ import annotations

from typing import Any

from ...errors import BadRequest
from .base import Format, Options, Reader, Result, task_of
from .prompts import prompt_of
from .records import Sample

_DETAILS = ("|total_cost", "|model_response")
_TASKS = ("eval_name", "task", "source", "dataset", "benchmark")


def _is_routerbench(sample: Sample) -> bool:
    return "prompt" in sample.fields and bool(_routerbench_models(sample))


def _routerbench_models(sample: Sample) -> dict[str, str]:
    named = {name.removesuffix(detail) for name in sample.fields for detail in _DETAILS if name.endswith(detail)}
    return {name: name for name in sorted(named & sample.fields)}


def _is_routellm(sample: Sample) -> bool:
    return "prompt" in sample.fields and "model" not in sample.fields and bool(_routellm_models(sample))


def _routellm_models(sample: Sample) -> dict[str, str]:
    """Return the columns of scores: X_score beside X_response or another X_score, or X beside X_response."""
    fields = {name for name in sample.fields if "|" not in name}
    answered = {name.removesuffix("_response") for name in fields if name.endswith("_response")} - {"", "model"}
    rated = {name.removesuffix("_score") for name in fields if name.endswith("_score")} - {"", "model"}
    if rated & answered or (len(rated) > 1 and not answered):
        return {f"{name}_score": name for name in sorted(rated)}
    return {name: name for name in sorted(answered & fields)}


def _wide(sample: Sample, options: Options, models: dict[str, str]) -> Reader:
    task = next((name for name in _TASKS if name in sample.fields), "")
    ours = {column: options.model(model) for column, model in models.items()}
    for column, model in ours.items():
        other = next(name for name, each in ours.items() if each == model)
        if other != column:
            raise BadRequest(f"the columns {other!r} and {column!r} are both of the model {model!r}.", param=column)

    def convert(row: dict[str, Any]) -> Result:
        prompt = prompt_of(row.get("prompt"))
        if prompt is None:
            return "there is no prompt"
        scores = {}
        for column, model in ours.items():
            score = options.label(row.get(column), column, sample, booleans=True)
            if score is not None:
                scores[model] = score
        return {**prompt, "scores": scores, **task_of(row.get(task))} if scores else "there is no score"

    return convert


def _routerbench(sample: Sample, options: Options) -> Reader:
    models = _routerbench_models(sample)
    if not models:
        raise BadRequest("the table has no column MODEL beside a column MODEL|total_cost.")
    return _wide(sample, options, models)


def _routellm(sample: Sample, options: Options) -> Reader:
    models = _routellm_models(sample)
    if not models:
        raise BadRequest("the table has no column MODEL_score, nor a column MODEL beside MODEL_response.")
    rated = next((name for name in models if name.endswith("_score")), None)
    if rated is not None and options.scale is None:
        # A table in which all scores are 1 would otherwise be read as good answers.
        raise BadRequest(
            f"{rated}: scores of this format have different scales; name it, as in --scale 1..5.", param=rated
        )
    return _wide(sample, options, models)


ROUTERBENCH = Format(
    "routerbench",
    "a table with prompt, a column for each model, and columns MODEL|total_cost or MODEL|model_response (RouterBench)",
    "scores from 0 to 1 as they are; eval_name is the task; costs are not read",
    _is_routerbench,
    _routerbench,
)
ROUTELLM = Format(
    "routellm",
    "prompt with MODEL_response and MODEL_score, or MODEL_response and MODEL as true or false (RouteLLM)",
    "scores by --scale, true 1 and false 0; source is the task",
    _is_routellm,
    _routellm,
)

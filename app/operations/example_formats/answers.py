"""Lists of answers, one a record: a prompt or messages, the model that answered, and a score (evaluations' samples)."""

from __future__ import annotations

from typing import Any

from ...errors import BadRequest
from .base import Format, Options, Reader, Result, named, task_of
from .prompts import prompt_of
from .records import Sample

_PROMPTS = ("messages", "prompt", "input", "question", "query", "instruction")
_MODELS = ("model", "model_name", "model_id")
_SCORES = (
    "score", "rating", "reward", "label", "grade", "correct", "is_correct", "passed", "pass", "success", "feedback",
    "thumbs",
)  # fmt: skip
_TASKS = ("task", "eval_name", "dataset", "category")
_LOGGED = {"sample_id", "type", "data"}


def _columns(sample: Sample, options: Options) -> list[str]:
    if options.score is not None:
        return [options.score] if options.score in sample.fields else []
    return [name for name in _SCORES if name in sample.fields]


def _matches(sample: Sample) -> bool:
    fields = sample.fields
    others = {"scores", "run_id", "traceId", "trace_id", "inputs", "provider", "model_a"}
    scored = any(name in fields for name in _SCORES) or "score" in fields
    return bool(fields & set(_PROMPTS) and fields & set(_MODELS)) and scored and not fields & others


def _reader(sample: Sample, options: Options) -> Reader:
    scores = _columns(sample, options)
    if not scores:
        name = options.score or "score"
        raise BadRequest(f"there is no field {name!r}: name the field of the scores with --score NAME.", param="score")
    if len(scores) > 1:
        raise BadRequest(f"the file has the scores {', '.join(scores)}: choose one with --score NAME.", param=scores[1])
    task = next((name for name in _TASKS if name in sample.fields), "")

    def convert(row: dict[str, Any]) -> Result:
        prompt: dict[str, Any] | None = next((found for name in _PROMPTS if (found := prompt_of(row.get(name)))), None)
        model = next((text for name in _MODELS if (text := named(row.get(name)))), "")
        score = options.label(row.get(scores[0]), scores[0], sample, booleans=True)
        if prompt is None or not model or score is None:
            return "there is no " + ("prompt" if prompt is None else "model" if not model else "score")
        return {**prompt, "scores": {options.model(model): score}, **task_of(row.get(task))}

    return convert


def _is_log(sample: Sample) -> bool:
    """Whether the file is a log of OpenAI's evals: a line with the specification, then events of samples."""
    return not sample.table and ("spec" in sample.fields or sample.fields >= _LOGGED)


def _log_reader(sample: Sample, options: Options) -> Reader:
    models: list[str] = []
    prompts: dict[str, dict[str, Any]] = {}
    task: list[str] = []

    def convert(row: dict[str, Any]) -> Result:
        spec = row.get("spec")
        if isinstance(spec, dict):
            asked = spec.get("completion_fns") or [spec.get("model")]
            models[:] = [name for each in asked if (name := named(each))]
            task[:] = [named(spec.get("base_eval"))]
            prompts.clear()
            return "it is no sample"
        data, sample_id = row.get("data"), str(row.get("sample_id"))
        if not isinstance(data, dict):
            return "it is no sample"
        found = prompt_of(data.get("prompt"))
        if found:
            prompts[sample_id] = found
        value = next((data[name] for name in ("correct", "score", "accuracy") if data.get(name) is not None), None)
        if value is None or row.get("type") not in ("match", "metrics"):
            return "it is no judgement"
        prompt = prompts.pop(sample_id, None)
        if prompt is None or len(models) != 1:
            return "the sample has no prompt" if prompt is None else "the log does not name one model"
        score = options.label(value, f"data of sample {sample_id}", sample, booleans=True)
        if score is None:
            return "there is no score"
        return {**prompt, "scores": {options.model(models[0]): score}, **task_of(task[0] if task else "")}

    return convert


ANSWERS = Format(
    "answers",
    "records with messages or a prompt (or input, question), model, and score (or rating, correct, passed, …)",
    "score from 0 to 1, true 1 and false 0, other scores by --scale",
    _matches,
    _reader,
)
EVALS = Format(
    "openai-evals",
    "the log of `oaieval`: a line with spec, then events of the types sampling and match or metrics",
    "correct 1, else 0; the model is that of spec.completion_fns",
    _is_log,
    _log_reader,
)

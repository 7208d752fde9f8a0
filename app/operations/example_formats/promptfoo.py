"""Results of promptfoo evaluations: one record for each test, prompt and provider."""

from __future__ import annotations

from typing import Any

from .base import Format, Options, Reader, Result, named, task_of
from .prompts import prompt_of
from .records import Sample

#: promptfoo's reason of a failure that is no judgement of the answer: the provider could not be asked.
_ERROR = 2
_KINDS = ("chat", "completion", "responses", "messages", "embedding", "realtime")


def _matches(sample: Sample) -> bool:
    return not sample.table and "provider" in sample.fields and bool(sample.fields & {"success", "gradingResult"})


def _reader(sample: Sample, options: Options) -> Reader:
    def convert(row: dict[str, Any]) -> Result:
        if row.get("failureReason") == _ERROR or (row.get("error") and not row.get("response")):
            return "the provider could not be asked"
        found = prompt_of(row.get("prompt")) or prompt_of(row.get("vars"))
        if found is None:
            return "there is no prompt"
        graded = row.get("gradingResult")
        graded = graded if isinstance(graded, dict) else {}
        values = [row.get("score"), graded.get("score"), row.get("success"), graded.get("pass")]
        value = next((value for value in values if value is not None), None)
        score = options.label(value, "score", sample, booleans=True)
        names = _names(row.get("provider"))
        if score is None or not names:
            return "there is no score" if score is None else "there is no provider"
        model = options.model(*names)
        return {**found, "scores": {model: score}, **_tokens(row, model), **_task(row)}

    return convert


def _names(provider: Any) -> list[str]:
    """Return the names of a provider, such as `openai:chat:gpt-4o`: whole, its label, and the model alone."""
    if isinstance(provider, dict):
        whole, label = named(provider.get("id")), named(provider.get("label"))
    else:
        whole, label = named(provider), ""
    parts = whole.split(":")
    if len(parts) > 2 and parts[1] in _KINDS:
        short, slashed = ":".join(parts[2:]), f"{parts[0]}/{':'.join(parts[2:])}"
    else:
        short, slashed = ":".join(parts[1:]) or whole, whole.replace(":", "/", 1)
    return [name for name in (whole, label, slashed, short) if name]


def _tokens(row: dict[str, Any], model: str) -> dict[str, Any]:
    response = row.get("response")
    usage = response.get("tokenUsage") if isinstance(response, dict) else None
    tokens = usage.get("completion") if isinstance(usage, dict) else None
    known = isinstance(tokens, int) and not isinstance(tokens, bool) and tokens > 0
    return {"completion_tokens": {model: tokens}} if known else {}


def _task(row: dict[str, Any]) -> dict[str, str]:
    case = row.get("testCase")
    metadata = (case.get("metadata") if isinstance(case, dict) else None) or row.get("metadata")
    return task_of(metadata.get("task")) if isinstance(metadata, dict) else {}


PROMPTFOO = Format(
    "promptfoo",
    "results.results of `promptfoo eval --output FILE.json`, or JSONL with provider, prompt, success and score",
    "score from 0 to 1, else success as 1 or 0; records whose provider could not be asked are left out",
    _matches,
    _reader,
)

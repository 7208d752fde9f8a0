"""Writes memories as lines of JSONL, which `pgrouter import` reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from ..store.reals import short


def line_of(row: Mapping[str, Any]) -> bytes | None:
    """Return the line of a row of `router.export`; None: its prompt is not stored, or it has no score."""
    models = row["models"] or ()
    scores = {
        model: short(score) for model, score in zip(models, row["scores"] or (), strict=True) if score is not None
    }
    if row["prompt"] is None or not scores:
        return None
    tokens = {
        model: round(count)
        for model, count in zip(models, row["completion_tokens"] or (), strict=True)
        if count is not None
    }
    line = {
        "prompt": row["prompt"],
        "scores": scores,
        **({"completion_tokens": tokens} if tokens else {}),
        **({"task": row["task"]} if row["task"] is not None else {}),
        "source": row["source"],
    }
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)

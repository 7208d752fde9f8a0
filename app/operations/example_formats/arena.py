"""Pairwise battles, as LMSYS's arena publishes them: the winner is good, the loser bad, a tie is two good answers."""

from __future__ import annotations

from typing import Any

from ...errors import BadRequest
from .base import Format, Options, Reader, Result, named
from .prompts import prompt_of
from .records import Sample

_FLAGS = ("winner_model_a", "winner_model_b", "winner_tie", "winner_bothbad")
_BY_FLAG = dict(zip(_FLAGS, ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.0, 0.0)), strict=True))
_BY_WORD = {
    **dict.fromkeys(("model_a", "a", "model a", "left", "leftvote"), (1.0, 0.0)),
    **dict.fromkeys(("model_b", "b", "model b", "right", "rightvote"), (0.0, 1.0)),
    **dict.fromkeys(("tie", "both", "both_good", "bothgood", "tie (bothgood)", "tievote"), (1.0, 1.0)),
    **dict.fromkeys(("tie (bothbad)", "bothbad", "both_bad", "tie_bothbad", "both bad", "bothbad_vote"), (0.0, 0.0)),
}
_PROMPTS = ("prompt", "question", "conversation_a", "conversation", "full_conversation", "conversation_b", "messages")


def _matches(sample: Sample) -> bool:
    fields = sample.fields
    return {"model_a", "model_b"} <= fields and ("winner" in fields or {"winner_model_a", "winner_model_b"} <= fields)


def _reader(sample: Sample, options: Options) -> Reader:
    flags = [name for name in _FLAGS if name in sample.fields]

    def convert(row: dict[str, Any]) -> Result:
        models = [named(row.get("model_a")), named(row.get("model_b"))]
        for field, name in zip(("model_a", "model_b"), models, strict=True):
            if not name:
                raise BadRequest(f"{field}: the field names no model.", param=field)
        ours = [options.model(name) for name in models]
        if ours[0] == ours[1]:
            return "both answers are of one model"
        pair = _of_flags(row, flags) if row.get("winner") in (None, "") else _of_winner(named(row["winner"]), models)
        if pair is None:
            return "there is no winner"
        prompt = next((found for name in _PROMPTS if (found := prompt_of(row.get(name)))), None)
        if prompt is None:
            return "there is no prompt"
        return {**prompt, "scores": dict(zip(ours, pair, strict=True))}

    return convert


def _of_winner(word: str, models: list[str]) -> tuple[float, float]:
    pair = _BY_WORD.get(word.lower())
    if pair is not None:
        return pair
    if word in models:
        return (1.0, 0.0) if word == models[0] else (0.0, 1.0)
    raise BadRequest(f"winner: {word!r} is neither model_a, model_b, tie nor tie (bothbad).", param="winner")


def _of_flags(row: dict[str, Any], flags: list[str]) -> tuple[float, float] | None:
    chosen = [name for name in flags if _is_set(row.get(name), name)]
    if len(chosen) > 1:
        raise BadRequest(f"{chosen[1]}: {chosen[0]} is set, too; one battle has one result.", param=chosen[1])
    return _BY_FLAG[chosen[0]] if chosen else None


def _is_set(value: Any, name: str) -> bool:
    word = "" if value is None else str(value).strip().lower()
    if word in ("1", "1.0", "true", "t", "yes"):
        return True
    if word in ("", "0", "0.0", "false", "f", "no"):
        return False
    raise BadRequest(f"{name}: {value!r} is neither 0 nor 1.", param=name)


ARENA = Format(
    "arena",
    "battles with model_a, model_b and winner, or winner_model_a, winner_model_b, winner_tie (LMSYS arena, RouteLLM)",
    "winner 1, loser 0; tie: both 1; both bad: both 0; the prompt is the first turn",
    _matches,
    _reader,
)

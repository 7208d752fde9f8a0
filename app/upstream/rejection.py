"""Reads why a provider rejects a request as faulty (400, 413, 422), to tell whether another model may serve it.

Most such requests are faulty for every model, and the error goes to the client. But a model may be asked for more than
it can take: a longer prompt, a parameter that it does not have, a kind of input that it cannot read. Providers report
that by codes, or in words alone.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from ..entities import Model
from .answer import Answer

REJECTIONS = (400, 413, 422)
#: OpenAI's codes, which others use too.
_CODES = frozenset(
    (
        "context_length_exceeded", "string_above_max_length", "model_not_found", "model_not_supported",
        "unsupported_model", "unsupported_parameter", "unsupported_value", "billing_not_active",
        "billing_hard_limit_reached", "insufficient_quota",
    )
)  # fmt: skip
_TOO_LONG = re.compile(
    r"context.?(?:length|window|size)|maximum context|prompt is too long|too many (?:input )?tokens", re.I
)
_UNSUPPORTED = re.compile(
    r"unsupported|not support(?:ed)?\b|unrecognized|unknown (?:field|parameter|argument)|unexpected keyword"
    r"|extra (?:inputs|fields) (?:are )?not permitted|credit balance|billing",
    re.I,
)
#: Characters of a message that are read: it may quote the prompt.
_READ = 500
#: Bytes of a whole error that are read.
_READ_WHOLE = 1000
#: Messages about a member, or a value of it, that a model never takes.
_NEVER = re.compile(r"supported values|invalid value|invalid enum|literal_error|unexpected", re.I)


def refuses_for_good(error: bytes) -> bool:
    """Return whether an error states that a member of the request, or its value, is unknown or not supported."""
    text = error[:_READ_WHOLE].decode("utf-8", "replace")
    return bool(_UNSUPPORTED.search(text) or _NEVER.search(text)) and not _TOO_LONG.search(text)


def other_model_may_serve(answer: Answer) -> bool:
    """Return whether a rejection is due to what this model, or this account, lacks."""
    code, message = _reported(answer)
    return code in _CODES or bool(message and (_TOO_LONG.search(message) or _UNSUPPORTED.search(message)))


def too_long(answer: Answer) -> bool:
    """Return whether a request is rejected because it is too long for the model."""
    code, message = _reported(answer)
    return code == "context_length_exceeded" or bool(message and _TOO_LONG.search(message))


def may_hold_more(model: Model, failed: Model) -> bool:
    """Return whether a model may take a prompt that was too long for another one."""
    if model.context_window is None or failed.context_window is None:
        return True
    return model.context_window > failed.context_window


def _reported(answer: Answer) -> tuple[str | None, str | None]:
    """Return the code and the message of a rejection; None: it has none, or is no rejection."""
    if answer.reply is None or answer.reply.status not in REJECTIONS or answer.whole is None:
        return None, None
    try:
        error: Any = orjson.loads(answer.whole)
    except orjson.JSONDecodeError:
        return None, None
    if isinstance(error, list) and error:
        # Gemini's API answers with a list.
        error = error[0]
    error = error.get("error", error) if isinstance(error, dict) else error
    if isinstance(error, str):
        return None, error[:_READ]
    if not isinstance(error, dict):
        return None, None
    codes = [error.get("code"), error.get("type")]
    code = next((each for each in codes if isinstance(each, str) and each in _CODES), None)
    message = error.get("message")
    return code, message[:_READ] if isinstance(message, str) else None

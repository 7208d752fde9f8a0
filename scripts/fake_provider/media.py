"""Answers of other APIs than chat: embeddings, images, speech, transcriptions, moderations and models."""

from __future__ import annotations

import base64
import hashlib
import re
import sys
from array import array
from functools import lru_cache
from typing import Any

import orjson

from scripts.fake_provider.forms import form_of
from scripts.fake_provider.plan import Plan
from scripts.fake_provider.spelling import ANSWER, CREATED, odd, openai_error
from scripts.fake_provider.wire import Pieces, Received, reply

MODELS = ("gpt-4o-mini", "claude-3-5-haiku", "gpt-4o", "text-embedding-3-small")
#: A picture of one pixel.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
#: The audio of speech: every byte value.
SPEECH = bytes(range(256)) * 16
CATEGORIES = (
    "harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm",
    "self-harm/instructions", "self-harm/intent", "sexual", "sexual/minors", "violence", "violence/graphic",
)  # fmt: skip


def embeddings(body: dict[str, Any], model: str, plan: Plan) -> Pieces:
    """Answer `POST /v1/embeddings`: unit vectors that depend on the words alone, of `dimensions` (1536) numbers."""
    given = body.get("input", "")
    texts = given if isinstance(given, list) and not (given and isinstance(given[0], int)) else [given]
    vectors = [_vector(str(text), int(body.get("dimensions") or 1536)) for text in texts]
    if body.get("encoding_format") == "base64":
        rows: list[Any] = [base64.b64encode(vector.tobytes()).decode() for vector in vectors]
    else:
        rows = [vector.tolist() for vector in vectors]
    data = [{"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(rows)]
    tokens = sum(max(1, len(str(text)) // 4) for text in texts)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return reply(200, orjson.dumps({"object": "list", "data": data, "model": model, "usage": usage}), plan)


@lru_cache(4096)
def _vector(text: str, dimensions: int) -> array[float]:
    total = [0.0] * dimensions
    for word in re.findall(r"\w+", text.lower()) or [text]:
        digest = hashlib.shake_256(word.encode()).digest(dimensions)
        total = [sum_ + byte - 127.5 for sum_, byte in zip(total, digest, strict=True)]
    length = sum(value * value for value in total) ** 0.5
    vector = array("f", (value / length for value in total))
    if sys.byteorder == "big":
        vector.byteswap()
    return vector


def images(body: dict[str, Any], model: str, plan: Plan) -> Pieces:
    """Return images, in the answer or, for DALL-E, by URL."""
    linked = model.startswith("dall-e") and body.get("response_format") != "b64_json"
    picture = {"url": "https://example.com/fake.png"} if linked else {"b64_json": PNG}
    usage = {
        "input_tokens": 11,
        "input_tokens_details": {"text_tokens": 11, "image_tokens": 0},
        "output_tokens": 196,
        "total_tokens": 207,
    }
    rows = [picture] * int(body.get("n") or 1)
    return reply(200, odd({"created": CREATED, "data": rows, **({} if linked else {"usage": usage})}), plan)


def edited(received: Received, plan: Plan) -> Pieces:
    """Return an edited image of the one in the form."""
    form = form_of(received.named.get("content-type", ""), received.body)
    if "image" not in form and "image[]" not in form:
        raise ValueError("Missing required parameter: 'image'.")
    return images({}, form["model"].text if "model" in form else "", plan)


def speech(body: dict[str, Any], model: str, plan: Plan) -> Pieces:
    """Return audio, in pieces."""
    kind = {"wav": b"audio/wav", "opus": b"audio/opus", "flac": b"audio/flac"}.get(body.get("response_format", ""))
    pieces = tuple(SPEECH[start : start + 1024] for start in range(0, len(SPEECH), 1024))
    return reply(200, pieces, plan, kind or b"audio/mpeg")


def transcription(received: Received, plan: Plan) -> Pieces:
    """Return the text of a recording, as JSON or plain text."""
    form = form_of(received.named.get("content-type", ""), received.body)
    if not form["file"].content or form["file"].filename is None:
        raise ValueError("The audio file could not be decoded or its format is not supported.")
    if "response_format" in form and form["response_format"].text in ("text", "srt", "vtt"):
        return reply(200, f"{ANSWER}\n".encode(), plan, b"text/plain; charset=utf-8")
    details = {"audio_tokens": 10, "text_tokens": 1}
    usage = {"type": "tokens", "input_tokens": 11, "input_token_details": details, "output_tokens": 7}
    return reply(200, odd({"text": ANSWER, "usage": {**usage, "total_tokens": 18}}), plan)


def moderations(body: dict[str, Any], model: str, plan: Plan) -> Pieces:
    """Flag each input that contains the word violence."""
    given = body.get("input", "")
    results = []
    for text in given if isinstance(given, list) else [given]:
        bad = "violence" in orjson.dumps(text).decode()
        results.append(
            {
                "flagged": bad,
                "categories": {name: bad and name == "violence" for name in CATEGORIES},
                "category_scores": {name: 0.9 if bad and name == "violence" else 1e-6 for name in CATEGORIES},
                "category_applied_input_types": {name: ["text"] for name in CATEGORIES},
            }
        )
    return reply(200, odd({"id": "modr-fake", "model": model or "omni-moderation-latest", "results": results}), plan)


def models(received: Received, name: str, plan: Plan) -> Pieces:
    """Return all models, or the one called `name`; in Anthropic's format for its clients."""
    shown = _anthropic if "anthropic-version" in received.named else _openai
    if not name:
        data = [shown(model) for model in MODELS]
        ends = {"has_more": False, "first_id": MODELS[0], "last_id": MODELS[-1]}
        return reply(200, odd({"object": "list", "data": data, **(ends if shown is _anthropic else {})}), plan)
    if name not in MODELS:
        return reply(404, openai_error(404, f"The model '{name}' does not exist", param="model"), plan)
    if received.method == "DELETE":
        return reply(200, odd({"id": name, "object": "model", "deleted": True}), plan)
    return reply(200, odd(shown(name)), plan)


def _openai(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "fake"}


def _anthropic(name: str) -> dict[str, Any]:
    return {"type": "model", "id": name, "display_name": name.title(), "created_at": "2024-02-29T00:00:00Z"}

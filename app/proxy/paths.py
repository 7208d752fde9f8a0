"""The paths below /v1: which of them ask a model, and which spellings of them never reach a provider."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote

from starlette.types import Scope

from ..dialects import CHAT, COMPACT, COMPLETIONS, COUNT_TOKENS, EMBEDDINGS, INPUT_TOKENS, MESSAGES, RESPONSES
from ..errors import BadRequest, NotFound
from .families import READING, Effect, effect_of, require_open

#: The APIs that ask a model, each served at exactly its path.
INFERENCE = (CHAT, RESPONSES, COMPACT, INPUT_TOKENS, MESSAGES, COUNT_TOKENS, COMPLETIONS, EMBEDDINGS)

_EXACT = frozenset(f"/v1{each.path}" for each in INFERENCE) | {"/v1/models"}
#: The steps of those paths, longest first: `/chat/completions` ends with `/completions`.
_TAILS = sorted((tuple(path.split("/")[2:]) for path in _EXACT), key=len, reverse=True)
#: Parts of steps by which some API asks a model (`chat-messages`, `gemini-2.5-pro:generateContent`): a path that has
#: one of them is passed through only if `_KNOWN` has it.
_ASKING = re.compile(
    r"chat|complet|converse|deployments|embed|engines|generat|infer|infill|interactions|invoke|messages|predict"
    r"|respond|response"
)
_ID = r"[A-Za-z0-9._~:@+-]+"
#: Steps below what providers store for a tenant: of no other spelling could its owner be checked.
_STORED = r"[A-Za-z0-9._~-]+"
#: Paths of OpenAI's and Anthropic's APIs that have such a step and ask no model, and the families that have their own.
_KNOWN = re.compile(
    rf"/v1/(?:chat/completions/{_ID}(?:/messages)?|messages/batches(?:/{_ID}(?:/results|/cancel)?)?"
    rf"|responses/{_STORED}(?:/cancel|/input_items)?|conversations(?:/{_STORED})*|models/{_ID}(?:/{_ID})*"
    r"|(?:files|uploads|batches|audio|images|videos|moderations|vector_stores|assistants|threads|fine_tuning|evals"
    r"|containers|skills)(?:/[^;\\]*)?)"
)
#: Times that percent-encoding is removed: a provider may do it more than once.
_DECODINGS = 3


class Forwarded(NamedTuple):
    """A request that is passed through."""

    #: The path below /v1, as the client spelt it.
    path: str
    effect: Effect


def forwarded(scope: Scope) -> Forwarded:
    """Return the path of a passthrough request, and what it may cause.

    Raises `BadRequest` for a path with `.` or `..` steps, and `NotFound` for another spelling or another place of a
    path that asks a model (letter case, repeated slashes, `/v1` twice, parameters, blanks, percent-encoding, paths of
    Azure and of OpenAI's engines), which a provider might accept: the model would be asked unrouted and uncounted.
    The same for other spellings of conversations and responses: their owner would not be checked. Raises `NotFound`
    also for paths that are closed (`families.require_open`).
    """
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    path = raw.partition(b"?")[0].decode("latin-1")
    decoded = path
    for _ in range(_DECODINGS):
        decoded = unquote(decoded)
    steps = re.split(r"[/\\]", decoded)
    if any(_meant(step) in (".", "..") for step in steps) or not path.startswith("/v1/"):
        raise BadRequest("The path has steps that lead elsewhere.", code="unknown_url")
    if path in _EXACT and (scope["method"] in READING or path == "/v1/models"):
        return Forwarded(path[3:], Effect.FREE if scope["method"] in READING else Effect.PAID)
    known = _KNOWN.fullmatch(path) is not None
    meant = [step for step in map(_meant, steps) if step][1:]
    asks = any(map(_ASKING.search, meant)) or meant[:1] in (["models"], ["conversations"])
    if meant[:1] in (["v1"], ["router"]) or (asks and not known) or (known and _asks_by_method(scope, meant)):
        raise NotFound(_refusal(scope["method"], path, meant), code="unknown_url")
    require_open(scope["method"], path, meant)
    return Forwarded(path[3:], effect_of(scope["method"], meant, known=known))


def _meant(step: str) -> str:
    """Return a step as a lenient server would read it: without parameters, blanks and control characters."""
    return re.sub(r"[\s\x00-\x20\x7f-\xa0]+", "", step.partition(";")[0]).lower()


def _asks_by_method(scope: Scope, meant: list[str]) -> bool:
    """Return whether a POST to a known path asks a model after all: `models/NAME:generateContent`, `responses/x`."""
    if scope["method"] != "POST":
        return False
    return meant[0] == "models" or (meant[0] == "responses" and len(meant) == 2)


def _refusal(method: str, path: str, meant: list[str]) -> str:
    steps = [step for step in meant if step != "v1"]
    right = next((tail for tail in _TAILS if tuple(steps[-len(tail) :]) == tail), None)
    if right is not None:
        # A provider might take another method for POST.
        method = method if method in READING else "POST"
        return f"Invalid URL: write it as {method} /v1/{'/'.join(right)}."
    own = meant[0] in ("v1", "router") and not any(map(_ASKING.search, steps))
    spelt = f"/v1/{'/'.join(steps)}"
    if own or (not _KNOWN.fullmatch(path) and _KNOWN.fullmatch(spelt)):
        return f"Invalid URL: write it as {method} {spelt}."
    served = ", ".join(f"/v1{each.path}" for each in INFERENCE if each.billed)
    return f"{method} {path} is not served here: models are asked by POST at {served}."

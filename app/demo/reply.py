"""The demo provider's reply to a request: a recorded answer, or a text that helps to find one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..dialects import CHAT, ParsedRequest
from ..dialects.base import text_of
from ..dialects.prompt import prompt_tokens
from ..dialects.tokens import estimate
from ..errors import BadRequest, NotFound
from .dataset import by_prompt, examples
from .models import MODELS
from .samples import SAMPLES

MAX_CHOICES = 128


@dataclass(frozen=True, slots=True)
class Reply:
    """The text that a model answers, `choices` times over, with its token counts."""

    model: str
    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    choices: int

    def usage(self) -> dict[str, Any]:
        """Return the `usage` object of a chat completion."""
        completion = self.completion_tokens * self.choices
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": completion,
            "total_tokens": self.prompt_tokens + completion,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        }

    def words(self) -> list[str]:
        """Return the text in pieces of a word and the white space before it."""
        return re.findall(r"\s*\S+|\s+\Z", self.text)


def reply_to(body: dict[str, Any], base_url: str, parsed: ParsedRequest | None = None) -> Reply:
    """Return the reply to a chat completion request that reached pgrouter at `base_url`.

    `parsed`: the request whose prompt tokens count, if `body` was made of a request in another API. Raises `BadRequest`
    naming the wrong field, `NotFound` for a model that is not one of the demo's.
    """
    model, messages = body.get("model"), body.get("messages")
    if not isinstance(model, str) or not model:
        raise BadRequest("You must provide a model parameter.", param="model", code="missing_required_parameter")
    if model not in MODELS:
        known = ", ".join(MODELS)
        message = f"The model `{model}` does not exist: the demo provider has {known}."
        raise NotFound(message, param="model", code="model_not_found")
    if messages is None:
        raise BadRequest("Missing required parameter: 'messages'.", param="messages", code="missing_required_parameter")
    if not isinstance(messages, list) or not messages:
        raise BadRequest("'messages' must be a list of at least one message.", param="messages")
    for position, message in enumerate(messages):
        if not isinstance(message, dict):
            raise BadRequest(f"'messages[{position}]' must be an object.", param=f"messages[{position}]")
    text, completion_tokens = _answer(model, messages, base_url)
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    finish_reason = "stop"
    if type(limit) is int and 0 < limit < completion_tokens:
        finish_reason = "length"
        text, completion_tokens = text[: len(text) * limit // completion_tokens], limit
    count = body.get("n")
    choices = min(max(count, 1), MAX_CHOICES) if isinstance(count, int) else 1
    return Reply(model, text, finish_reason, prompt_tokens(parsed or CHAT.read(body)), completion_tokens, choices)


def _answer(model: str, messages: Sequence[Mapping[str, Any]], base_url: str) -> tuple[str, int]:
    """Return the recorded answer to the last user message or to all messages as one text; else the guidance."""
    prompts = [text_of(message) for message in messages if message.get("role") == "user"]
    example = by_prompt().get(prompts[-1].strip()) if prompts else None
    example = example or by_prompt().get("\n".join(map(text_of, messages)).strip())
    if example is not None:
        answer = example.answers[model]
        return answer.text, answer.tokens
    text = guidance(model, base_url)
    return text, round(estimate(text))


def guidance(model: str, base_url: str) -> str:
    """Return the answer to a prompt that is not bundled: what this provider is, three commands to try, what to do."""
    commands = "\n\n".join(
        f"# {sample.title}: expect {sample.model}, {sample.reason}\n{sample.curl(base_url)}" for sample in SAMPLES
    )
    return (
        f"This is pgrouter's demo provider in the place of {model}. There is no model behind it: it has only recorded "
        f"answers to the {len(examples())} prompts bundled with pgrouter, and this prompt is not one of them.\n\n"
        "Three bundled prompts to try, with PGROUTER_KEY set to the api_key that pgrouter printed when it started; the "
        "headers x-router-model and x-router-reason show who answered and why:\n\n"
        f"{commands}\n\n"
        "For real answers, set OPENAI_API_KEY and restart pgrouter, or add a provider and its models: "
        "pgrouter provider add NAME --base-url URL --key-variable VARIABLE; pgrouter model add MODEL --provider NAME"
    )

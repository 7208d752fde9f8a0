"""Validates taught examples and converts them for the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ..catalog import Catalog
from ..dialects import prompt
from ..dialects.chat import validate_messages
from ..dialects.markers import Markers
from ..dialects.request_text import request_text
from ..entities import Policy
from ..errors import BadRequest, NotFound
from ..http.fields import Score, Tag, Text, Tokens, check_storable
from ..store.memories import Example
from .embedders import CachedEmbedder, Paid

#: Maximum examples of one request.
MAX_EXAMPLES = 1000
#: Maximum models that one example may score, as in the table.
MAX_MODELS = 64


@dataclass(frozen=True, slots=True)
class TextRules:
    """How the text to embed is derived from messages: the wrappers in force, and the tenant's policies by name."""

    markers: Markers
    policies: Mapping[str, Policy]

    def granularity(self, policy: str | None = None, param: str = "policy") -> str:
        """Return the granularity of a policy; None: of `auto`, or the one that all policies have.

        Raises `NotFound` naming `param` if there is no such policy.
        """
        if policy is not None and policy not in self.policies:
            raise NotFound(f"There is no policy {policy!r}.", param=param, code="model_not_found")
        found = self.policies.get(policy or "auto")
        if found is not None:
            return found.granularity
        all_of_them = {each.granularity for each in self.policies.values()}
        return all_of_them.pop() if len(all_of_them) == 1 else "conversation"


class PromptIn(BaseModel):
    """A prompt, given as text or as the messages of a chat request."""

    model_config = ConfigDict(extra="forbid")

    prompt: Text | None = None
    messages: list[dict[str, Any]] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("give either `prompt` or `messages`")
        return self

    def text(self, rules: TextRules, policy: str | None = None, param: str = "") -> str:
        """Return the text to embed, as a request with this prompt or these messages has it for a policy.

        Raises `BadRequest` if the messages have none, and `NotFound` for an unknown policy; `param` prefixes its path.
        """
        granularity = rules.granularity(policy, f"{param}policy")
        if self.prompt is not None:
            return request_text([{"role": "user", "content": self.prompt}], granularity, rules.markers)
        try:
            text = request_text(validate_messages(self.messages, "messages"), granularity, rules.markers)
            if not text:
                raise BadRequest("The messages contain no text of a user.", param="messages")
            check_storable(text)
        except ValueError as error:
            raise BadRequest(f"{param}messages: {error}.", param=f"{param}messages") from None
        except BadRequest as error:
            raise BadRequest(error.message, param=f"{param}{error.param}") from None
        return text


def _without_unknown(values: Any) -> Any:
    """Drop the members that are null: there is no label. CSV files have empty cells for them."""
    if values is None:
        return {}
    if isinstance(values, dict) and None in values.values():
        return {name: value for name, value in values.items() if value is not None}
    return values


def _blank_is_none(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


def _human_if_unknown(value: Any) -> Any:
    return "human" if _blank_is_none(value) is None else value


class ExampleIn(PromptIn):
    """One example: a prompt and the score of each model's answer, 0 to 1. Equal scores are useful too.

    A score that is null is no label. This is what every way of teaching accepts: HTTP, files, and `router.record`.
    """

    scores: Annotated[
        dict[str, Score],
        Field(min_length=1, max_length=MAX_MODELS),
        BeforeValidator(_without_unknown, json_schema_input_type=dict[str, Score | None]),
    ]
    completion_tokens: Annotated[
        dict[str, Tokens],
        Field(max_length=MAX_MODELS),
        BeforeValidator(_without_unknown, json_schema_input_type=dict[str, Tokens | None] | None),
    ] = Field(default_factory=dict)
    task: Annotated[Tag | None, BeforeValidator(_blank_is_none)] = None
    source: Annotated[
        Literal["human", "judge", "import", "feedback"],
        BeforeValidator(
            _human_if_unknown, json_schema_input_type=Literal["human", "judge", "import", "feedback", ""] | None
        ),
    ] = "human"
    policy: Annotated[
        str | None, Field(description="The policy whose granularity picks the text of `messages`; null: `auto`.")
    ] = None


class ExamplesIn(BaseModel):
    """A batch of examples."""

    model_config = ConfigDict(extra="forbid")

    examples: list[ExampleIn] = Field(min_length=1, max_length=MAX_EXAMPLES)


async def examples_of(
    examples: Sequence[ExampleIn],
    catalog: Catalog,
    embedder: CachedEmbedder,
    rules: TextRules,
    *,
    batch: bool,
    paid: Paid | None = None,
) -> list[Example]:
    """Look up the models and embed the prompts of `examples`.

    Raises `BadRequest` naming the field, with the prefix `examples[i].` in a `batch`, `NotFound` for an unknown policy,
    and `EmbeddingFailed`. `paid` is called with the tokens of calls that cost money.
    """
    prefixes = [f"examples[{position}]." if batch else "" for position in range(len(examples))]
    texts = [example.text(rules, example.policy, prefix) for example, prefix in zip(examples, prefixes, strict=True)]
    labels = [labels_of(example, catalog, prefix) for example, prefix in zip(examples, prefixes, strict=True)]
    vectors = await embedder.embed_many(texts, paid)
    found = []
    for example, prefix, text, (scores, tokens), vector in zip(examples, prefixes, texts, labels, vectors, strict=True):
        if vector is None:
            raise BadRequest("The prompt contains nothing to embed.", param=f"{prefix}prompt")
        found.append(
            Example(
                prompt=text,
                source=example.source,
                task=example.task and example.task.strip(),
                prompt_tokens=prompt.tokens_of(text),
                scores=scores,
                completion_tokens=tokens,
                embedding=vector,
            )
        )
    return found


def labels_of(example: ExampleIn, catalog: Catalog, prefix: str = "") -> tuple[dict[int, float], dict[int, float]]:
    """Return scores and completion tokens by `model_id`. Raises `BadRequest` naming the field, prefixed by `prefix`."""
    return (
        _by_model(example.scores, catalog, f"{prefix}scores"),
        _by_model(example.completion_tokens, catalog, f"{prefix}completion_tokens"),
    )


def _by_model(values: Mapping[str, float], catalog: Catalog, param: str) -> dict[int, float]:
    """Return `values` by `model_id`. Raises `BadRequest` if two names are the same model."""
    found: dict[int, float] = {}
    for name, value in values.items():
        model_id = catalog.label(name, f"{param}.{name}")
        if model_id in found:
            raise BadRequest(
                f"{name!r} is another name of a model that this object names already.", param=f"{param}.{name}"
            )
        found[model_id] = float(value)
    return found

"""Turns what a request or a file wants taught into examples, or says which field is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.catalog import Catalog
from app.dialects import prompt as signal
from app.dialects.chat import validate_messages
from app.errors import BadRequest
from app.http.fields import Score, Tag, Text, Tokens, storable
from app.memory.embedders import CachedEmbedder
from app.store.memories import Example

MOST = 1000
#: Models that one example may score; the table holds no more.
MODELS = 64


class PromptIn(BaseModel):
    """A prompt as text, or as the messages of a chat request whose task signal is the prompt."""

    model_config = ConfigDict(extra="forbid")

    prompt: Text | None = None
    messages: list[dict[str, Any]] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("give either `prompt` or `messages`")
        return self

    def text(self, param: str = "", granularity: str = "conversation") -> str:
        """The text that is embedded. Raises `BadRequest` when the messages have none; `param` leads its path."""
        if self.prompt is not None:
            return self.prompt.strip()
        try:
            text = signal.task_signal(validate_messages(self.messages, "messages"), granularity)
            if not text:
                raise BadRequest("The messages have no text of a user.", param="messages")
            storable(text)
        except ValueError as error:
            raise BadRequest(f"{param}messages: {error}.", param=f"{param}messages") from None
        except BadRequest as error:
            raise BadRequest(error.message, param=f"{param}{error.param}") from None
        return text


class ExampleIn(PromptIn):
    """One example: how good each model's answer to the prompt was, 0 to 1; ties are worth teaching too."""

    scores: dict[str, Score] = Field(min_length=1, max_length=MODELS)
    completion_tokens: dict[str, Tokens] = Field(default_factory=dict, max_length=MODELS)
    task: Tag | None = None
    source: Literal["human", "judge", "import", "feedback"] = "human"


class ExamplesIn(BaseModel):
    """A batch of them."""

    model_config = ConfigDict(extra="forbid")

    examples: list[ExampleIn] = Field(min_length=1, max_length=MOST)


async def examples_of(
    lessons: Sequence[ExampleIn], catalog: Catalog, embedder: CachedEmbedder, *, batch: bool
) -> list[Example]:
    """Lessons with their models looked up and their prompts embedded.

    Raises `BadRequest` naming the field (led by `examples[i].` in a `batch`) and `EmbeddingFailed`.
    """
    leads = [f"examples[{position}]." if batch else "" for position in range(len(lessons))]
    texts = [lesson.text(lead) for lesson, lead in zip(lessons, leads, strict=True)]
    labels = [labels_of(lesson, catalog, lead) for lesson, lead in zip(lessons, leads, strict=True)]
    vectors = await embedder.embed_many(texts)
    found = []
    for lesson, lead, text, (scores, tokens), vector in zip(lessons, leads, texts, labels, vectors, strict=True):
        if vector is None:
            raise BadRequest("The prompt has nothing to embed.", param=f"{lead}prompt")
        found.append(
            Example(
                prompt=text,
                source=lesson.source,
                task=lesson.task and lesson.task.strip(),
                prompt_tokens=signal.tokens_of(text),
                scores=scores,
                completion_tokens=tokens,
                embedding=vector,
            )
        )
    return found


def labels_of(lesson: ExampleIn, catalog: Catalog, lead: str = "") -> tuple[dict[int, float], dict[int, float]]:
    """Scores and completion tokens by model number. Raises `BadRequest` naming the field, led by `lead`."""
    return (
        _by_model(lesson.scores, catalog, f"{lead}scores"),
        _by_model(lesson.completion_tokens, catalog, f"{lead}completion_tokens"),
    )


def _by_model(values: Mapping[str, float], catalog: Catalog, param: str) -> dict[int, float]:
    """`values` by model number; a model spelled two ways at once is refused."""
    found: dict[int, float] = {}
    for name, value in values.items():
        model_id = catalog.resolve(name, f"{param}.{name}").model_id
        if model_id in found:
            raise BadRequest(f"{name!r} names a model that is named already.", param=f"{param}.{name}")
        found[model_id] = float(value)
    return found

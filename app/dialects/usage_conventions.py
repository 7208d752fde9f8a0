"""The conventions by which providers report usage: the names of the counts, and what the total adds up.

Two tables. `SHAPES` has a row for each set of names; the names decide which row a report belongs to. `Sum` has the ways
in which reasoning and cached tokens relate to the completion and the prompt; `total_tokens` decides between them,
whichever provider sends it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

#: Keys from the usage object down to a count.
Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Relation:
    """How reasoning and cached tokens relate to the prompt, the completion and the total."""

    #: Whether reasoning tokens come on top of the completion's.
    reasoning_beside: bool = False
    #: Whether cached tokens, read or written, come on top of the prompt's.
    cache_beside: bool = False
    #: Whether the total contains what comes on top.
    in_total: bool = True


class Sum(Enum):
    """The relations that providers use."""

    #: OpenAI, Azure, DeepSeek, Mistral, Groq, Fireworks, Together, Moonshot, Qwen, vLLM, OpenRouter.
    #: platform.openai.com/docs/api-reference/chat/object
    INSIDE = Relation()
    #: xAI: docs.x.ai/docs/key-information/consumption-and-rate-limits ("counted separately from completion_tokens").
    #: Gemini: ai.google.dev/api/generate-content#UsageMetadata (thoughts beside candidates, both in the total).
    REASONING_BESIDE = Relation(reasoning_beside=True)
    #: Bedrock: docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html
    CACHE_BESIDE = Relation(cache_beside=True)
    #: Gateways that translate Anthropic's or Bedrock's counts to OpenAI's names.
    BOTH_BESIDE = Relation(reasoning_beside=True, cache_beside=True)
    #: Anthropic: docs.anthropic.com/en/docs/build-with-claude/prompt-caching#tracking-cache-performance
    CACHE_NOT_IN_TOTAL = Relation(cache_beside=True, in_total=False)
    #: Perplexity: docs.perplexity.ai/getting-started/models/models/sonar-deep-research
    REASONING_NOT_IN_TOTAL = Relation(reasoning_beside=True, in_total=False)


@dataclass(frozen=True, slots=True)
class Shape:
    """A set of names for the counts of usage."""

    #: The provider or API that the names come from.
    origin: str
    #: Where the names are documented.
    source: str
    #: The prompt's tokens.
    prompt: Path
    #: The completion's tokens.
    completion: Path
    #: The total; empty: the shape has none.
    total: Path = ()
    #: Tokens read from the provider's cache; the first that is reported counts.
    cached: tuple[Path, ...] = ()
    #: Tokens written to the provider's cache; the first that is reported counts.
    written: tuple[Path, ...] = ()
    #: Reasoning tokens; the first that is reported counts.
    reasoning: tuple[Path, ...] = ()
    #: Tokens that are billed as the prompt's and are part of no other count.
    more_prompt: tuple[Path, ...] = ()
    #: Whether the total contains `more_prompt`.
    more_in_total: bool = True
    #: A report belongs to this row only if it has one of these members; empty: if it has the prompt or completion.
    requires: tuple[str, ...] = ()
    #: The relations that this shape may have, the usual one first.
    sums: tuple[Sum, ...] = (Sum.INSIDE, Sum.REASONING_BESIDE, Sum.CACHE_BESIDE, Sum.BOTH_BESIDE)


_CHAT_CACHED: tuple[Path, ...] = (
    ("prompt_tokens_details", "cached_tokens"),  # OpenAI, xAI, Groq, Fireworks, vLLM, Qwen, OpenRouter
    ("prompt_cache_hit_tokens",),  # DeepSeek: api-docs.deepseek.com/guides/kv_cache
    ("cached_tokens",),  # Moonshot, Together: platform.moonshot.ai/docs/api/chat
    ("cache_read_input_tokens",),  # Anthropic's name, from gateways
    ("num_cached_tokens",),  # Mistral: docs.mistral.ai/api
)
_CHAT_WRITTEN: tuple[Path, ...] = (
    ("prompt_tokens_details", "cache_write_tokens"),  # OpenRouter: openrouter.ai/docs/use-cases/usage-accounting
    ("prompt_tokens_details", "cache_creation_input_tokens"),  # Qwen: alibabacloud.com/help/model-studio/context-cache
    ("prompt_tokens_details", "cache_creation_tokens"),
    ("cache_creation_input_tokens",),
)
_CHAT_REASONING: tuple[Path, ...] = (
    ("completion_tokens_details", "reasoning_tokens"),
    ("reasoning_tokens",),  # Perplexity, Together
)
_ANTHROPIC_READ, _ANTHROPIC_WRITTEN = "cache_read_input_tokens", "cache_creation_input_tokens"

#: The first row that fits a report is used.
SHAPES = (
    Shape(
        "Perplexity, deep research", "docs.perplexity.ai/getting-started/models/models/sonar-deep-research",
        ("prompt_tokens",), ("completion_tokens",), ("total_tokens",),
        reasoning=(("reasoning_tokens",),), more_prompt=(("citation_tokens",),), more_in_total=False,
        requires=("citation_tokens",), sums=(Sum.REASONING_NOT_IN_TOTAL, Sum.REASONING_BESIDE),
    ),
    Shape(
        "OpenAI, chat and completions", "platform.openai.com/docs/api-reference/chat/object",
        ("prompt_tokens",), ("completion_tokens",), ("total_tokens",),
        cached=_CHAT_CACHED, written=_CHAT_WRITTEN, reasoning=_CHAT_REASONING,
    ),
    Shape(
        "Anthropic, messages", "docs.anthropic.com/en/api/messages#response-usage",
        ("input_tokens",), ("output_tokens",), ("total_tokens",),
        cached=((_ANTHROPIC_READ,),), written=((_ANTHROPIC_WRITTEN,),),
        reasoning=(("output_tokens_details", "thinking_tokens"), ("output_tokens_details", "reasoning_tokens")),
        requires=(_ANTHROPIC_READ, _ANTHROPIC_WRITTEN),
        sums=(Sum.CACHE_NOT_IN_TOTAL, Sum.CACHE_BESIDE, Sum.INSIDE, Sum.BOTH_BESIDE),
    ),
    Shape(
        "OpenAI, responses", "platform.openai.com/docs/api-reference/responses/object",
        ("input_tokens",), ("output_tokens",), ("total_tokens",),
        cached=(("input_tokens_details", "cached_tokens"), ("cached_tokens",)),
        written=(("input_tokens_details", "cache_write_tokens"),),
        reasoning=(("output_tokens_details", "reasoning_tokens"), ("output_tokens_details", "thinking_tokens")),
    ),
    Shape(
        "Amazon Bedrock, Converse", "docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html",
        ("inputTokens",), ("outputTokens",), ("totalTokens",),
        cached=(("cacheReadInputTokens",), ("cacheReadInputTokenCount",)),
        written=(("cacheWriteInputTokens",), ("cacheWriteInputTokenCount",)),
        sums=(Sum.CACHE_BESIDE, Sum.CACHE_NOT_IN_TOTAL),
    ),
    Shape(
        "Gemini, generateContent", "ai.google.dev/api/generate-content#UsageMetadata",
        ("promptTokenCount",), ("candidatesTokenCount",), ("totalTokenCount",),
        cached=(("cachedContentTokenCount",),), reasoning=(("thoughtsTokenCount",),),
        more_prompt=(("toolUsePromptTokenCount",),), sums=(Sum.REASONING_BESIDE, Sum.INSIDE),
    ),
    Shape(
        "Cohere, chat", "docs.cohere.com/reference/chat#response.body.usage",
        ("billed_units", "input_tokens"), ("billed_units", "output_tokens"),
    ),
    Shape(
        "Ollama, native", "github.com/ollama/ollama/blob/main/docs/api.md",
        ("prompt_eval_count",), ("eval_count",),
    ),
    Shape(
        "llama.cpp, timings", "github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md",
        ("prompt_n",), ("predicted_n",), cached=(("cache_n",),), sums=(Sum.CACHE_BESIDE,),
    ),
)  # fmt: skip


class Place(NamedTuple):
    """Where an answer or event has a report."""

    #: Keys from the top; of a list, the first element is taken.
    path: Path
    #: A member that the object there must have to be a report; empty: none.
    requires: str = ""


#: The places by API. A member of the same name anywhere else is not the answer's usage.
CHAT_PLACES = (
    Place(("usage",)),
    Place(("x_groq", "usage")),  # Groq's streams: console.groq.com/docs/api-reference#chat-create
    Place(("choices", "usage")),  # Moonshot's streams: platform.moonshot.ai/docs/api/chat
    Place(("usageMetadata",)),  # Gemini
    Place(("metadata", "usage"), "inputTokens"),  # Bedrock's streams; others repeat a client's metadata
    Place(("timings",), "predicted_n"),  # llama.cpp
)
RESPONSES_PLACES = (Place(("response", "usage")), Place(("usage",)))
MESSAGES_PLACES = (Place(("message", "usage")), Place(("usage",)))

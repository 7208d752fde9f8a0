"""The value types that every room uses: providers, models, policies, spaces, callers, tenants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple

#: Capabilities of a model, in the order of the arguments of `router.fill_model`; each is a column of `router.models`.
CAPABILITIES = (
    "context_window", "max_output", "tools", "parallel_tools", "vision", "audio", "json_schema", "reasoning",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Provider:
    """An HTTP service that serves models."""

    name: str
    #: URL up to the part before `/chat/completions`.
    base_url: str
    #: Environment variable with the API key; None: the provider needs no key.
    key_variable: str | None
    #: Supported APIs: any of `chat`, `responses`, `messages`, `completions`, `embeddings`.
    speaks: frozenset[str]
    #: Header of the API key: `authorization` (as a bearer token), `x-api-key` or `api-key`.
    key_header: str


@dataclass(frozen=True, slots=True)
class Model:
    """A model of the deployment. Prices are in USD per million tokens; None in any field: unknown."""

    #: Number of the model in the database.
    model_id: int
    #: Name in requests to pgrouter.
    name: str
    #: The provider that serves it.
    provider: Provider
    #: Name in requests to the provider.
    upstream_name: str
    #: Price of prompt tokens.
    input_price: float | None
    #: Price of prompt tokens read from the provider's cache; None: `input_price`.
    cached_input_price: float | None
    #: Price of completion tokens, reasoning included.
    output_price: float | None
    #: Maximum tokens of prompt and answer together.
    context_window: int | None
    #: Supports function calling.
    tools: bool | None
    #: Supports images in the prompt.
    vision: bool | None
    #: Supports answers that match a JSON schema.
    json_schema: bool | None
    #: Supports several function calls in one answer.
    parallel_tools: bool | None = None
    #: Supports sound in the prompt or the answer.
    audio: bool | None = None
    #: Supports reasoning.
    reasoning: bool | None = None
    #: Maximum tokens of an answer.
    max_output: int | None = None
    #: Members of a request's body that it sets where the client sends none, by dotted name (`reasoning.effort`).
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    #: Whether requests may be sent to it; a disabled model keeps its labels, and gets new ones.
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Policy:
    """A routing policy: requests whose model is its name are routed to one of its candidates."""

    policy_id: int
    #: Model name in requests that are routed by this policy, such as `auto`.
    name: str
    #: The decision rule.
    backend: str
    #: The text to embed: of a user's messages before the first answer for `conversation`, of the latest for `step`.
    granularity: str
    #: `model_id` of the default model.
    default_model: int
    #: `model_id` of each candidate.
    models: tuple[int, ...]


class Space(NamedTuple):
    """An embedding space: its number in the database, and a name that identifies its embedder."""

    space_id: int
    name: str


@dataclass(frozen=True, slots=True)
class Caller:
    """The owner of an API key: the key, its tenant, and the tenant's policies."""

    #: Number of the tenant.
    tenant_id: int
    #: Name of the tenant.
    tenant: str
    #: Number of the key.
    key_id: int
    #: Expiry of the key; None: never.
    expires_at: datetime | None
    #: Whether `auto` also routes requests that name one of its candidates.
    route_explicit: bool
    #: The tenant's policies by name.
    policies: Mapping[str, Policy]
    #: Embedding space of the tenant; None: that of the process's default embedder.
    space: Space | None = None
    #: Embedding space that is being built for the tenant.
    next_space: Space | None = None
    #: Provider of requests without a model; None: that of the default model of `auto`.
    default_provider: str | None = None
    #: `model_id` of each model that this key may use; None: all.
    allowed_models: frozenset[int] | None = None
    #: Whether the key or its tenant has limits.
    metered: bool = False
    #: What the key may do, as in `app.key_scopes`.
    scopes: frozenset[str] = frozenset(("ask", "teach", "manage"))


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant with its settings and the size of its memory."""

    #: Number of the tenant.
    tenant_id: int
    #: Name of the tenant.
    name: str
    #: Maximum number of memories.
    memory_cap: int
    #: Number of memories, in all embedding spaces.
    memories: int
    #: Number of keys that are not revoked.
    keys: int
    #: Number of policies.
    policies: int
    #: Whether its memory has a partition and an index of its own.
    graduated: bool
    #: Whether prompts are stored as text besides their embeddings.
    store_prompts: bool
    #: Whether `auto` also routes requests that name one of its candidates.
    route_explicit: bool
    #: Embedding space of the tenant; None: that of the proxy's default embedder.
    space_id: int | None
    #: Name of that space.
    space: str | None
    #: Name of the space that its memory is being rewritten for; None: not being rewritten.
    building: str | None
    #: Whether other tenants may use its memory as their shared (base) memory.
    shared: bool
    #: Name of the tenant whose shared (base) memory it uses; None: none.
    base: str | None
    #: Provider of requests without a model; None: that of the default model of `auto`.
    default_provider: str | None
    #: Time of its creation.
    created_at: datetime


def cost_usd(
    input_price: float | None,
    output_price: float | None,
    prompt_tokens: float,
    completion_tokens: float,
    *,
    cached_tokens: float = 0,
    cached_input_price: float | None = None,
) -> float | None:
    """Return the cost of a request in USD; None if either price is unknown.

    Prices are in USD per million tokens. `cached_tokens` are part of `prompt_tokens`; if `cached_input_price` is None,
    they cost as much as the others. `router_internal._cost` computes the same for the ledger.
    """
    if input_price is None or output_price is None:
        return None
    cached = min(cached_tokens, prompt_tokens)
    paid_in = (prompt_tokens - cached) * input_price
    paid_in += cached * (input_price if cached_input_price is None else cached_input_price)
    return (paid_in + completion_tokens * output_price) / 1e6

"""The value types that every room shares: providers, models, policies, spaces, callers and tenants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

#: What a model can do, in the order of `router.fill_model`; each is a column of `router.models`.
CAPABILITIES = (
    "context_window", "max_output", "tools", "parallel_tools", "vision", "audio", "json_schema", "reasoning",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Provider:
    """Who serves models, at a URL that ends before `/chat/completions`; its key is in the environment.

    `speaks`: the APIs it answers, of `chat responses messages completions embeddings`; `key_header`: what carries the
    key, of `authorization` (as a bearer token), `x-api-key` and `api-key`.
    """

    name: str
    base_url: str
    key_variable: str | None
    speaks: frozenset[str]
    key_header: str


@dataclass(frozen=True, slots=True)
class Model:
    """A model as requests name it; prices in USD per million tokens, None: unknown.

    What it can do: True, False, or None: unknown; `context_window` and `max_output` in tokens.
    """

    model_id: int
    name: str
    provider: Provider
    upstream_name: str
    input_price: float | None
    cached_input_price: float | None
    output_price: float | None
    context_window: int | None
    tools: bool | None
    vision: bool | None
    json_schema: bool | None
    parallel_tools: bool | None = None
    audio: bool | None = None
    reasoning: bool | None = None
    max_output: int | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """A name that asks for routing, with the numbers of its default model and of its candidates."""

    policy_id: int
    name: str
    backend: str
    granularity: str
    default_model: int
    models: tuple[int, ...]


class Space(NamedTuple):
    """An embedding space: its number in the database, and the name that tells which embedder makes it."""

    space_id: int
    name: str


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom a key belongs to, and the tenant's policies by name.

    `space` serves the tenant, None: that of the process's own embedder; `next_space` is being built for it.
    `default_provider`: the name of who serves what names no model, None: whoever serves the default of `auto`.
    `allowed_models`: the numbers of those that may serve this key, None: all; `metered`: whether it has limits.
    """

    tenant_id: int
    tenant: str
    key_id: int
    expires_at: datetime | None
    route_explicit: bool
    policies: Mapping[str, Policy]
    space: Space | None = None
    next_space: Space | None = None
    default_provider: str | None = None
    allowed_models: frozenset[int] | None = None
    metered: bool = False


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant with how much it has: memories of all embedders, keys that are not revoked, policies.

    `space` serves it, None: that of the proxy's own embedder; its memory is being rewritten for `building`, None: not.
    `shared`: others may lean on its memory; `base`: the tenant it leans on, None: none. `default_provider` serves what
    names no model, None: whoever serves the default of `auto`.
    """

    tenant_id: int
    name: str
    memory_cap: int
    memories: int
    keys: int
    policies: int
    graduated: bool
    store_prompts: bool
    route_explicit: bool
    space_id: int | None
    space: str | None
    building: str | None
    shared: bool
    base: str | None
    default_provider: str | None
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

    Prices are in USD per million tokens. `cached_tokens` are part of `prompt_tokens` and cost `cached_input_price`
    each; if that is None they cost as much as other prompt tokens. The ledger computes the same (`router_internal._cost`).
    """
    if input_price is None or output_price is None:
        return None
    cached = min(cached_tokens, prompt_tokens)
    paid_in = (prompt_tokens - cached) * input_price
    paid_in += cached * (input_price if cached_input_price is None else cached_input_price)
    return (paid_in + completion_tokens * output_price) / 1e6


#: What a policy's decision is set by, in the order of the SQL type `policy_settings`; sql/README.md says what each is.
POLICY_SETTINGS = (
    "granularity", "alpha", "k", "tau", "n0", "n0_task", "n1", "seed_count", "confidence_floor", "switch_penalty",
    "sticky_seconds", "explore_share", "explore_labels", "base_weight",
)  # fmt: skip

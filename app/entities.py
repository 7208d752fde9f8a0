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


@dataclass(frozen=True, slots=True)
class PolicySetting:
    """A setting of a policy: a column of `router.policies` and an attribute of the SQL type `policy_settings`."""

    name: str
    #: Type of a value; a `str` is one of `choices`.
    kind: type[int] | type[float] | type[str]
    #: Value for a new policy, if the environment names none.
    default: float | str
    #: What it sets, as a noun phrase without a full stop.
    help: str
    #: Least value, inclusive.
    low: float = 0
    #: Greatest value, inclusive; infinity is a value.
    high: float = 1e6
    choices: tuple[str, ...] = ()

    @property
    def option(self) -> str:
        """The option of `pgrouter policy put`."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def variable(self) -> str:
        """The environment variable with the value for new policies."""
        return f"ROUTER_{self.name.upper()}"

    @property
    def range(self) -> str:
        """The allowed values of a number, in words."""
        return f"{self.low:.10g} to {self.high:.10g}"

    @property
    def brief_range(self) -> str:
        """The same for help and documents, which leave out the limit of the column's type."""
        return f"{self.low:.10g} or more" if self.high == LARGEST else self.range


#: Greatest value of a column of type int.
LARGEST = 2**31 - 1

#: Every setting of a policy, by name, in the order of the SQL type `policy_settings`. From this table the command line,
#: the admin API, the variables ROUTER_… and the reference documents are made; a test compares it with the database.
POLICY_SETTINGS: Mapping[str, PolicySetting] = {
    setting.name: setting
    for setting in (
        PolicySetting(
            "granularity", str, "conversation",
            "text that is embedded: the first user message, or with step the latest", choices=("conversation", "step"),
        ),
        PolicySetting(
            "alpha", float, 0.1,
            "quality points given up to save what the dearest candidate costs for an average prompt; 0 ignores cost",
            high=100,
        ),
        PolicySetting("k", int, 100, "neighbours consulted", low=1, high=1000),
        PolicySetting(
            "tau", float, 0.2, "kernel width; with inf all neighbours have the same weight", low=1e-4, high=float("inf")
        ),
        PolicySetting("n0", float, 2, "weight of the prior, in neighbours"),
        PolicySetting("n0_task", float, 10, "weight of the prior if the request names a task, in neighbours"),
        PolicySetting("n1", float, 5, "weight of the tenant's mean in the prior of a task, in labels"),
        PolicySetting("seed_count", int, 100, "memories needed before the memory decides", high=LARGEST),
        PolicySetting("confidence_floor", float, 0, "least share of an estimate that comes from neighbours", high=1),
        PolicySetting(
            "switch_penalty", float, 0,
            "quality points subtracted from models other than the conversation's current one", high=100,
        ),
        PolicySetting(
            "sticky_seconds", int, 86400, "time a conversation stays with its first model, in seconds; 0: none",
            high=LARGEST,
        ),
        PolicySetting(
            "explore_share", float, 0, "share of new requests sent to the candidate with the fewest labels", high=0.2
        ),
        PolicySetting("explore_labels", int, 20, "labels at which a candidate is no longer explored", high=LARGEST),
        PolicySetting(
            "base_weight", float, 100, "weight of the shared base memory, in memories of the tenant's own; 0 ignores it"
        ),
    )
}  # fmt: skip

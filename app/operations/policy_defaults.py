"""What a new policy is made of where nobody says otherwise: settings from the environment, candidates from prices."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, get_args

from app.entities import POLICY_SETTINGS, Model
from app.errors import ConfigurationError
from app.settings import BACKENDS

#: What is embedded: the first user message, or the latest.
Granularity = Literal["conversation", "step"]
GRANULARITIES: tuple[str, ...] = get_args(Granularity)
#: The pair that most accounts can call: what `auto` starts with when nobody chose.
USUAL = ("gpt-4o-mini", "gpt-4o")

_LEARNED = "knn"
#: Settings that are whole numbers, and what each may be, from and to.
WHOLE = frozenset({"k", "seed_count", "sticky_seconds", "explore_labels"})
# As the table's own constraints; `tau` is open at 0 and may be infinite, which makes every neighbour weigh the same.
RANGES: Mapping[str, tuple[float, float]] = {
    "alpha": (0, 100),
    "k": (1, 1000),
    "tau": (1e-4, float("inf")),
    "n0": (0, 1e6),
    "n0_task": (0, 1e6),
    "n1": (0, 1e6),
    "seed_count": (0, 2**31 - 1),
    "confidence_floor": (0, 1),
    "switch_penalty": (0, 100),
    "sticky_seconds": (0, 2**31 - 1),
    "explore_share": (0, 0.2),
    "explore_labels": (0, 2**31 - 1),
    "base_weight": (0, 1e6),
}


@dataclass(frozen=True, slots=True)
class PolicyDefaults:
    """What the environment says about new policies. `settings` has a value only for what it names."""

    backend: str = _LEARNED
    candidates: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


def policy_defaults(environ: Mapping[str, str] = os.environ) -> PolicyDefaults:
    """Read ROUTER_BACKEND, ROUTER_CANDIDATES (names, commas between) and ROUTER_ALPHA, ROUTER_K, … for each setting.

    Raises `ConfigurationError` naming the variable.
    """
    backend = environ.get("ROUTER_BACKEND", "").strip() or _LEARNED
    if backend not in BACKENDS:
        raise ConfigurationError(f"ROUTER_BACKEND={backend!r}: choose one of {', '.join(BACKENDS)}.")
    settings = {}
    for setting in POLICY_SETTINGS:
        variable = f"ROUTER_{setting.upper()}"
        text = environ.get(variable, "").strip()
        if text:
            settings[setting] = checked(setting, text, variable)
    return PolicyDefaults(
        # `none` turns the process's routing off for now; a policy made meanwhile must not keep that for good.
        backend=_LEARNED if backend == "none" else backend,
        candidates=names_in(environ.get("ROUTER_CANDIDATES", "")),
        settings=MappingProxyType(settings),
    )


def names_in(text: str) -> tuple[str, ...]:
    """The names in a list with commas, each once, in order."""
    return tuple(dict.fromkeys(name for name in (part.strip() for part in text.split(",")) if name))


def checked(setting: str, text: str, variable: str) -> str | int | float:
    """The value of a policy's setting. Raises `ConfigurationError` naming `variable` when it is out of range."""
    if setting == "granularity":
        if text not in GRANULARITIES:
            raise ConfigurationError(f"{variable}={text!r}: choose one of {', '.join(GRANULARITIES)}.")
        return text
    low, high = RANGES[setting]
    whole = setting in WHOLE
    try:
        value = int(text) if whole else float(text)
    except ValueError:
        raise ConfigurationError(f"{variable}={text!r} is not a {'whole ' if whole else ''}number.") from None
    if not low <= value <= high:
        raise ConfigurationError(f"{variable}={text} is outside {low:.10g} to {high:.10g}.")
    return value


def choose(
    models: Sequence[Model], candidates: Sequence[str] = (), default: str | None = None
) -> tuple[list[str], str] | None:
    """The candidates of a policy and its default model, out of the enabled `models`; None when none has prices.

    Without `candidates` they are the usual pair when both are there, else every priced model; without `default` it is
    the dearest of them. Raises `ConfigurationError` naming a model that is not there.
    """
    by_name = {model.name: model for model in models}
    for name in (*candidates, *([default] if default else [])):
        if name not in by_name:
            raise ConfigurationError(f"There is no model {name!r}; `pgrouter model list` shows those that are enabled.")
    priced = {name for name, model in by_name.items() if _cost(model) is not None}
    chosen = list(candidates)
    if not chosen:
        chosen = list(USUAL) if priced.issuperset(USUAL) else sorted(priced)
    if not chosen:
        return None
    return chosen, default or max(chosen, key=lambda name: (_cost(by_name[name]) or 0.0, name))


def _cost(model: Model) -> float | None:
    if model.input_price is None or model.output_price is None:
        return None
    return model.input_price + model.output_price

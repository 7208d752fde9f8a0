"""Defaults of a new policy: settings from the environment, candidates by price."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from ..entities import Model
from ..errors import ConfigurationError
from ..policy_settings import POLICY_SETTINGS
from ..settings import BACKENDS

#: The provider whose current cheap and strong model are the candidates of `auto` if none are named.
_OF = "openai"
_LEARNED = "knn"


@dataclass(frozen=True, slots=True)
class PolicyDefaults:
    """Defaults of new policies from the environment; `settings` has only the settings that a variable names."""

    backend: str = _LEARNED
    candidates: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


def policy_defaults(environ: Mapping[str, str] = os.environ) -> PolicyDefaults:
    """Read ROUTER_BACKEND, ROUTER_CANDIDATES (names separated by commas) and the variable of each setting.

    Raises `ConfigurationError` naming the variable.
    """
    backend = environ.get("ROUTER_BACKEND", "").strip() or _LEARNED
    if backend not in BACKENDS:
        raise ConfigurationError(f"ROUTER_BACKEND={backend!r} is unknown: choose one of {', '.join(BACKENDS)}.")
    settings = {}
    for setting in POLICY_SETTINGS.values():
        text = environ.get(setting.variable, "").strip()
        if text:
            settings[setting.name] = setting_value(setting.name, text, setting.variable)
    return PolicyDefaults(
        # `none` turns the process's routing off for now; a policy created meanwhile must not keep that.
        backend=_LEARNED if backend == "none" else backend,
        candidates=names_in(environ.get("ROUTER_CANDIDATES", "")),
        settings=MappingProxyType(settings),
    )


def names_in(text: str) -> tuple[str, ...]:
    """Split a list of names at its commas; each name once, in order."""
    return tuple(dict.fromkeys(name for name in (part.strip() for part in text.split(",")) if name))


def setting_value(name: str, text: str, source: str) -> str | int | float:
    """Parse the value of a policy's setting. Raises `ConfigurationError` naming `source` if it is out of range."""
    setting = POLICY_SETTINGS[name]
    if setting.kind is str:
        if text not in setting.choices:
            raise ConfigurationError(f"{source}={text!r} is unknown: choose one of {', '.join(setting.choices)}.")
        return text
    try:
        value = int(text) if setting.kind is int else float(text)
    except ValueError:
        whole = "whole " if setting.kind is int else ""
        raise ConfigurationError(f"{source}={text!r} is not a {whole}number.") from None
    if not setting.low <= value <= setting.high:
        raise ConfigurationError(f"{source}={text} is outside {setting.range}.")
    return value


def choose(
    models: Sequence[Model], candidates: Sequence[str] = (), default: str | None = None
) -> tuple[list[str], str] | None:
    """The candidates of a policy and its default model, out of the enabled `models`; None if none has prices.

    Without `candidates` they are OpenAI's current cheap and strong model (`default_candidates`) if both exist, else
    every priced model without settings; without `default` it is the dearest of them, of equally dear ones one without
    settings. Raises `ConfigurationError` naming a model that does not exist.
    """
    by_name = {model.name: model for model in models}
    for name in (*candidates, *([default] if default else [])):
        if name not in by_name:
            raise ConfigurationError(f"There is no enabled model {name!r}; `pgrouter model list` lists the models.")
    # A model with settings serves only where it is named: it is a candidate beside its upstream model.
    priced = {name for name, model in by_name.items() if _cost(model) is not None and not model.settings}
    chosen = list(candidates)
    if not chosen:
        # Importing the prices takes longer than most commands do.
        from . import list_prices
        from .default_candidates import default_candidates

        pair = default_candidates(list_prices.chat_models("openai"), priced)
        chosen = list(pair) if len(pair) > 1 else sorted(priced)
    if not chosen:
        return None
    return chosen, default or max(chosen, key=lambda name: _rank(by_name[name]))


def _rank(model: Model) -> tuple[float, bool, str]:
    return _cost(model) or 0.0, not model.settings, model.name


def _cost(model: Model) -> float | None:
    if model.input_price is None or model.output_price is None:
        return None
    return model.input_price + model.output_price

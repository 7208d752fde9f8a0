"""Models that are in no database."""

from __future__ import annotations

from typing import Any

from app.entities import Model, Provider


def model(name: str = "m", **known: Any) -> Model:
    """Return a model whose fields are unknown except for those given."""
    provider = Provider("p", "http://p", None, frozenset(("chat",)), "authorization")
    unknown: dict[str, Any] = dict.fromkeys(Model.__slots__)
    return Model(
        **{**unknown, "model_id": 1, "name": name, "provider": provider, "upstream_name": name, "settings": {}, **known}
    )

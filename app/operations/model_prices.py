"""The prices that a model is stored with: those given, else none beside an upstream model, else list prices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ..errors import BadRequest

if TYPE_CHECKING:
    from .list_prices import Price

Row = Mapping[str, Any]
_PRICES = ("input_price", "cached_input_price", "output_price")


@dataclass(frozen=True, slots=True)
class Filled:
    """The columns to store, whether the model's own prices are removed, and notes for the operator."""

    columns: dict[str, Any]
    inherited: bool = False
    notes: tuple[str, ...] = ()


def filled(
    name: str,
    served: Row,
    known: Row | None,
    base: Row | None,
    given: Row,
    *,
    moved: bool,
    cache_share: float | None,
    inherit: bool,
) -> Filled:
    """Return the columns of a model with its prices, in USD per million tokens. Raises `BadRequest` naming the field.

    `served`: its `provider`, `upstream_name` and `base_url`; `known`: the model as it is, None if it is new; `base`:
    the model of its upstream name, None if there is none; `given`: prices and capabilities; `moved`: its provider or
    upstream name changes; `cache_share`: the price of cached tokens as a share of the input price; `inherit`: its own
    prices are removed. A model with a base has no prices of its own unless some are given; the others are then those
    that applied.
    """
    columns = dict(given)
    own = cache_share is not None or any(columns.get(each) is not None for each in _PRICES)
    if inherit and base is None:
        raise BadRequest(
            f"{served['provider']} has no model {served['upstream_name']!r} besides {name} to take prices from.",
            param="upstream_price",
        )
    if inherit and own:
        raise BadRequest("prices of its own exclude those of the upstream model", param="upstream_price")
    inherits = base is not None and (
        known is None or moved or known["priced_by"] is not None or known["input_price"] is None
    )
    now, notes = datetime.now(UTC), []
    if inherit or (inherits and not own):
        if columns.get("context_window") is None and (known is None or moved):
            listed = _listed(served, now)
            columns["context_window"] = listed and listed.context_window
        return Filled(columns, inherited=True)
    dated = now.date() if columns.get("input_price") is not None or columns.get("output_price") is not None else None
    current = None if moved else known
    before = base if inherits else current
    if before is None or before["input_price"] is None or before["output_price"] is None:
        price = _listed(served, now)
        if price is not None:
            before = {
                **(before or {}),
                "input_price": price.input,
                "cached_input_price": price.cached_input,
                "output_price": price.output,
                "context_window": price.context_window,
                "priced_on": price.on,
            }
            if price.dearer_from is not None and dated is None:
                notes.append(
                    f"{name} costs more from {price.dearer_from} prompt tokens on; the lower price is used for all."
                )
    paid_in = columns.get("input_price")
    if cache_share is not None:
        source = before or known
        at = source["input_price"] if paid_in is None and source is not None else paid_in
        columns["cached_input_price"] = share_of(cache_share, at)
    if before is not None and before is not current:
        kept = ["output_price", "context_window"]
        # A price for cached tokens does not apply beside an input price of the operator's.
        kept += ["input_price", "cached_input_price"] if paid_in is None else []
        columns.update({each: before.get(each) for each in kept if columns.get(each) is None})
        dated = dated or before.get("priced_on")
    return Filled({**columns, "priced_on": dated}, notes=tuple(notes))


def _listed(served: Row, now: datetime) -> Price | None:
    # Importing the prices takes longer than most commands run.
    from . import list_prices

    return list_prices.lookup(served["upstream_name"], served["provider"], served["base_url"], now=now)


def share_of(share: float, paid_in: float | None) -> float:
    """The price of cached tokens, from their share of the input price. Raises `BadRequest` without an input price."""
    if paid_in is None:
        raise BadRequest("a share needs an input price: give it too", param="cache_share")
    # In binary, three times a tenth is more than 0.3.
    return round(share * paid_in, 12)

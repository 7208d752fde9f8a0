"""List prices of models from the data in the `genai-prices` package; nothing is fetched."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import final

from genai_prices import data_snapshot
from genai_prices.types import ModelInfo, Provider, StartDateConstraint, TieredPrices


@final
@dataclass(frozen=True, slots=True)
class Price:
    """A list price, in USD per million tokens."""

    input: float
    cached_input: float | None
    output: float
    #: Tokens.
    context_window: int | None
    #: Earliest day from which the data may be.
    on: date
    #: Number of prompt tokens from which the provider charges more for all tokens; None: no such tier.
    dearer_from: int | None = None


# The data does not mark models that are not for chat completions; their names and units identify them.
_NO_CHAT = re.compile(
    r"audio|realtime|image|tts|whisper|transcri|translate|embed|moderation|guard|rerank|codex|-ocr|-live|voice|:batch"
)
# The last of these serve the Responses API only, or are not names that a request can give.
_NO_CHAT_OF_OPENAI = re.compile(
    r"davinci|curie|babbage|^ada$|instruct|-oss-|search|deep-research|computer-use|-pro$|^ft:|\.ft-|:"
)


def lookup(
    model: str, provider: str | None, base_url: str | None = None, *, now: datetime | None = None
) -> Price | None:
    """The list price of `model` at a provider, identified by its name or its `base_url`; None if unknown.

    Of prices with tiers by length it is the lowest tier, of prices that change with time the one at `now`. Without a
    provider it is the price of the model's maker. A provider that is not in the data has no prices: hosts differ.
    """
    info = _info(model, provider, base_url)
    return None if info is None else _price(info, now or datetime.now(UTC))


def capabilities(model: str, provider: str | None, base_url: str | None = None) -> dict[str, int | bool | None]:
    """The capabilities of `model` in the data: `context_window` in tokens, and whether it takes `audio`.

    None: unknown. A model without a separate price for audio may take audio all the same.
    """
    info = _info(model, provider, base_url)
    if info is None:
        return {}
    entries = info.prices if isinstance(info.prices, list) else ()
    prices = (info.prices, *(entry.prices for entry in entries))
    audio = any(getattr(each, "input_audio_mtok", None) is not None for each in prices)
    return {"context_window": info.context_window, "audio": audio or None}


def _info(model: str, provider: str | None, base_url: str | None) -> ModelInfo | None:
    snapshot = data_snapshot.get_snapshot()
    try:
        known = snapshot.find_provider(model.lower(), None, None) if provider is None else _provider(provider, base_url)
    except LookupError:
        return None
    return None if known is None else known.find_model(model.lower(), all_providers=snapshot.providers)


def chat_models(provider: str, *, now: datetime | None = None) -> dict[str, Price]:
    """Every priced chat model of a provider, by name. Raises `LookupError` if the provider is not in the data."""
    known = _provider(provider, None)
    if known is None:
        names = ", ".join(sorted(each.id for each in data_snapshot.get_snapshot().providers))
        raise LookupError(f"genai-prices has no provider {provider!r}: choose one of {names}")
    found = {}
    for info in known.models:
        if info.deprecated or _NO_CHAT.search(info.id) or (known.id == "openai" and _NO_CHAT_OF_OPENAI.search(info.id)):
            continue
        price = _price(info, now or datetime.now(UTC))
        if price is not None:
            found[info.id] = price
    return found


def _provider(name: str, base_url: str | None) -> Provider | None:
    providers = data_snapshot.get_snapshot().providers
    for provider in providers:
        if provider.id == name.lower():
            return provider
    for provider in providers:
        if base_url is not None and re.match(provider.api_pattern, base_url):
            return provider
    return None


def _price(info: ModelInfo, now: datetime) -> Price | None:
    # get_prices fails for a model without any price.
    if not info.prices:
        return None
    prices = info.get_prices(now)
    parts = [getattr(prices, unit, None) for unit in ("input_mtok", "cache_read_mtok", "output_mtok")]
    paid_in, cached, paid_out = map(_base, parts)
    if paid_out is None and "embed" in info.id:
        # Embeddings have no output tokens.
        paid_out = 0.0
    # A price is complete only with both parts, and only if requests themselves cost nothing.
    if paid_in is None or paid_out is None or getattr(prices, "requests_kcount", None):
        return None
    return Price(
        input=paid_in,
        cached_input=cached,
        output=paid_out,
        context_window=info.context_window,
        on=min(_data_date(), now.date()),
        dearer_from=min((part.tiers[0].start for part in parts if isinstance(part, TieredPrices)), default=None),
    )


@cache
def _data_date() -> date:
    """The latest past day that the data mentions: the data has no date of its own."""
    today = datetime.now(UTC).date()
    starts = (
        entry.constraint.start_date
        for provider in data_snapshot.get_snapshot().providers
        for info in provider.models
        for entry in (*(info.prices if isinstance(info.prices, list) else ()), *(info.price_variants or ()))
        if isinstance(entry.constraint, StartDateConstraint)
    )
    return max((start for start in starts if start <= today), default=today)


def _base(price: Decimal | TieredPrices | None) -> float | None:
    if isinstance(price, TieredPrices):
        price = price.base
    return None if price is None else float(price)

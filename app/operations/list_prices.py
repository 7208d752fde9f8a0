"""List prices of models, from the data that the `genai-prices` package carries; nothing is fetched."""

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
    """USD per million tokens.

    `on` is the day that the data is from at the earliest, `context_window` in tokens, `dearer_from` the prompt tokens
    from which the provider asks more for all of them.
    """

    input: float
    cached_input: float | None
    output: float
    context_window: int | None
    on: date
    dearer_from: int | None = None


# The data has no mark for models that are not asked by chat completions; their names and units tell them.
_NO_CHAT = re.compile(
    r"audio|realtime|image|tts|whisper|transcri|translate|embed|moderation|guard|rerank|codex|-ocr|-live|voice|:batch"
)
# The last ones of these are asked by the Responses API alone, or are not names that a request can give.
_NO_CHAT_OF_OPENAI = re.compile(
    r"davinci|curie|babbage|^ada$|instruct|-oss-|search|deep-research|computer-use|-pro$|^ft:|\.ft-|:"
)


def lookup(
    model: str, provider: str | None, base_url: str | None = None, *, now: datetime | None = None
) -> Price | None:
    """The list price of `model` at a provider, which its name or its `base_url` identifies; None when unknown.

    Of prices with tiers by length it is the lowest tier's, of prices that change with time `now`'s. Without a provider
    it is its maker's; a provider that the data does not have has no prices, for hosts differ in what they ask.
    """
    info = _info(model, provider, base_url)
    return None if info is None else _price(info, now or datetime.now(UTC))


def abilities(model: str, provider: str | None, base_url: str | None = None) -> dict[str, int | bool | None]:
    """What the data tells of `model` beside its price: `context_window` in tokens, whether it takes `audio`.

    None where it does not tell: that audio has no price of its own does not say that the model takes none.
    """
    info = _info(model, provider, base_url)
    if info is None:
        return {}
    entries = info.prices if isinstance(info.prices, list) else ()
    prices = (info.prices, *(entry.prices for entry in entries))
    hears = any(getattr(each, "input_audio_mtok", None) is not None for each in prices)
    return {"context_window": info.context_window, "audio": hears or None}


def _info(model: str, provider: str | None, base_url: str | None) -> ModelInfo | None:
    snapshot = data_snapshot.get_snapshot()
    try:
        known = snapshot.find_provider(model.lower(), None, None) if provider is None else _provider(provider, base_url)
    except LookupError:
        return None
    return None if known is None else known.find_model(model.lower(), all_providers=snapshot.providers)


def chat_models(provider: str, *, now: datetime | None = None) -> dict[str, Price]:
    """Every priced chat model of a provider, by name. Raises `LookupError` when the data does not have the provider."""
    known = _provider(provider, None)
    if known is None:
        names = ", ".join(sorted(each.id for each in data_snapshot.get_snapshot().providers))
        raise LookupError(f"genai-prices knows no provider {provider!r}; it knows {names}")
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
    # A model that was never priced has no conditional prices either, and get_prices would take the first of none.
    if not info.prices:
        return None
    prices = info.get_prices(now)
    parts = [getattr(prices, unit, None) for unit in ("input_mtok", "cache_read_mtok", "output_mtok")]
    paid_in, cached, paid_out = map(_base, parts)
    if paid_out is None and "embed" in info.id:
        # A vector is not said in tokens.
        paid_out = 0.0
    # Half a price is none, and so is one for tokens where requests cost something too.
    if paid_in is None or paid_out is None or getattr(prices, "requests_kcount", None):
        return None
    return Price(
        input=paid_in,
        cached_input=cached,
        output=paid_out,
        context_window=info.context_window,
        on=min(_data_is_of(), now.date()),
        dearer_from=min((part.tiers[0].start for part in parts if isinstance(part, TieredPrices)), default=None),
    )


@cache
def _data_is_of() -> date:
    """The latest day that has passed and that the data mentions, for it does not say when it was made."""
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
